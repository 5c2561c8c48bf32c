/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/options.h"

#define WORDS_MAX 32u

static struct command_line line;

/* Splits a command line at blanks and parses it; `copy` holds the words. */
static bool parse(const char *text)
{
    static char copy[1024];
    static char *words[WORDS_MAX + 1];
    int count = 0;
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < (int)WORDS_MAX);
        words[count++] = word;
    }
    words[count] = NULL;
    return command_line_parse(&line, count, words);
}

static void refused(const char *text, const char *message)
{
    if (parse(text)) fail_msg("'%s' was taken", text);
    if (strstr(line.message, message) == NULL)
        fail_msg("'%s': '%s' is not in '%s'", text, message, line.message);
}

static void taken(const char *text)
{
    if (!parse(text)) fail_msg("'%s' was refused: %s", text, line.message);
}

/* ---- The tables ---------------------------------------------------------------------------- */

static bool is_long_name(const char *name)
{
    return *name != 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name);
}

static void every_option_is_documented(void **state)
{
    (void)state;
    uint64_t used = 0;
    for (const struct command *row = command_table; row->name != NULL; row++)
        used |= row->options;
    for (unsigned id = 0; id < OPTIONS; id++) {
        const struct option_row *row = &option_table[id];
        assert_true(is_long_name(row->name));
        assert_true(strlen(row->help) > 5);
        assert_int_equal(*row->value == 0, row->kind == VALUE_FLAG);
        assert_true(row->kind != VALUE_HEX || row->minimum <= sizeof line.uses[0].bytes);
        assert_true(row->kind == VALUE_HEX || row->minimum <= row->maximum);
        if ((used >> id & 1) == 0) fail_msg("no command takes --%s (%u)", row->name, id);
    }
}

static void every_command_is_documented(void **state)
{
    (void)state;
    for (const struct command *row = command_table; row->name != NULL; row++) {
        assert_true(*row->summary != 0 && row->summary[strlen(row->summary) - 1] != '.');
        assert_non_null(strstr(row->examples, "cairn "));
        assert_non_null(row->text);
        assert_non_null(row->run);
        assert_true((row->options >> OPTION_HELP & 1) != 0);
        assert_int_equal(row->required & ~row->options, 0);
        assert_true(row->arguments_min <= row->arguments_max);
        assert_int_equal(*row->arguments != 0, row->arguments_max > 0);
        assert_ptr_equal(command_find(row->name), row);
        if (row->alias != NULL) assert_ptr_equal(command_find(row->alias), row);
    }
}

static void options_of_a_command_have_different_names(void **state)
{
    (void)state;
    for (const struct command *row = command_table; row->name != NULL; row++) {
        for (unsigned a = 0; a < OPTIONS; a++) {
            for (unsigned b = a + 1; b < OPTIONS; b++) {
                if ((row->options >> a & 1) == 0 || (row->options >> b & 1) == 0) continue;
                const struct option_row *one = &option_table[a];
                const struct option_row *two = &option_table[b];
                if (strcmp(one->name, two->name) == 0)
                    fail_msg("%s has two options --%s", row->name, one->name);
                if (one->letter != 0 && one->letter == two->letter)
                    fail_msg("%s has two options -%c", row->name, one->letter);
            }
        }
    }
}

static char *help_of(const struct command *command)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    help_command(out, command);
    fclose(out);
    return text;
}

static void help_names_every_option_and_shows_examples_first(void **state)
{
    (void)state;
    for (const struct command *row = command_table; row->name != NULL; row++) {
        char *text = help_of(row);
        const char *examples = strstr(text, "Examples");
        const char *usage = strstr(text, "Usage");
        assert_non_null(examples);
        assert_non_null(usage);
        assert_true(examples < usage);
        for (unsigned id = 0; id < OPTIONS; id++) {
            char name[80];
            if ((row->options >> id & 1) == 0) continue;
            snprintf(name, sizeof name, "--%s", option_table[id].name);
            if (strstr(text, name) == NULL) fail_msg("help of %s lacks %s", row->name, name);
            assert_non_null(strstr(text, option_table[id].help));
        }
        free(text);
    }
}

/* Examples that need no shell are lines that the parser takes. */
static void examples_can_be_typed(void **state)
{
    (void)state;
    unsigned parsed = 0;
    for (const struct command *row = command_table; row->name != NULL; row++) {
        const char *at = row->examples;
        while (*at != 0) {
            char text[256];
            size_t size = strcspn(at, "\n");
            assert_true(size < sizeof text);
            memcpy(text, at, size);
            text[size] = 0;
            at += size + 1;
            if (strncmp(text, "cairn ", 6) != 0 || strpbrk(text, "$|&<>\\\"'") != NULL) continue;
            taken(text);
            assert_non_null(line.command);
            parsed++;
        }
    }
    assert_true(parsed > 20);
}

/* ---- Words --------------------------------------------------------------------------------- */

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    taken("cairn space declare visits --data d --type gcounter");
    assert_string_equal(line.command->name, "space declare");
    assert_int_equal(line.argument_count, 1);
    assert_string_equal(line.arguments[0], "visits");
    assert_string_equal(option_text(&line, OPTION_DATA), "d");
    assert_int_equal(option_number(&line, OPTION_TYPE, 0), CAIRN_GCOUNTER);

    taken("cairn space declare --data=d --type=pncounter visits");
    assert_int_equal(option_number(&line, OPTION_TYPE, 0), CAIRN_PNCOUNTER);
    taken("cairn space declare -dd -t gcounter visits");
    assert_string_equal(option_text(&line, OPTION_DATA), "d");

    taken("cairn address a - b -- --c -d");
    assert_int_equal(line.argument_count, 5);
    assert_string_equal(line.arguments[1], "-");
    assert_string_equal(line.arguments[3], "--c");
    assert_string_equal(line.arguments[4], "-d");
    assert_false(option_is_given(&line, OPTION_DATA));
    assert_null(option_text(&line, OPTION_DATA));
    assert_int_equal(option_number(&line, OPTION_SLOT, 7), 7);
}

static void aliases_and_help_find_their_command(void **state)
{
    (void)state;
    taken("cairn demo embedded --seed 1");
    assert_string_equal(line.command->name, "demo");
    taken("cairn demo --seed 1");
    assert_int_equal(option_number(&line, OPTION_SEED, 0), 1);
    /* With --help nothing else must be right. */
    taken("cairn fact add --nonsense --help");
    assert_string_equal(line.command->name, "fact add");
    assert_true(option_is_given(&line, OPTION_HELP));
    taken("cairn inspect -h");
    assert_true(option_is_given(&line, OPTION_HELP));
    taken("cairn address -- --help");
    assert_false(option_is_given(&line, OPTION_HELP));
    taken("cairn --version");
    assert_null(line.command);
    taken("cairn");
    assert_null(line.command);
}

static void unknown_words_are_met_with_a_suggestion(void **state)
{
    (void)state;
    refused("cairn inspekt d", "did you mean 'cairn inspect'?");
    refused("cairn fact ad --data d", "did you mean 'cairn fact add'?");
    refused("cairn fcat add", "did you mean 'cairn fact add'?");
    refused("cairn fact", "needs a second word");
    refused("cairn fact wash", "'cairn help' lists the commands");
    refused("cairn zzzzzz", "'cairn help' lists the commands");
    refused("cairn inspect d --jsn", "did you mean --json?");
    refused("cairn inspect d --recrods", "did you mean --records?");
    refused("cairn inspect d --zzzzzz", "'cairn help inspect' lists the options");
    refused("cairn inspect d -z", "unknown option -z");
    /* An option of another command is not one of this. */
    refused("cairn address --data d", "unknown option --data");
    /* What runs inside another command is not suggested. */
    refused("cairn demo-membr", "'cairn help' lists the commands");
}

static void distances_count_edits(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("abc", "abc"), 0);
    assert_int_equal(text_distance("abc", "abd"), 1);
    assert_int_equal(text_distance("abc", "acb"), 1);
    assert_int_equal(text_distance("abc", "bc"), 1);
    assert_int_equal(text_distance("ca", "abc"), 3); /* no edit inside a swap */
    assert_int_equal(text_distance("kitten", "sitting"), 3);
}

/* ---- Values -------------------------------------------------------------------------------- */

static void values_are_checked(void **state)
{
    (void)state;
    refused("cairn init --data d --slot x", "--slot: 'x' is not a number from 0 to 4,294,967,294");
    refused("cairn init --data d --slot 4294967295", "is not a number from 0 to 4,294,967,294");
    refused("cairn init --data d --slot -1", "--slot: '-1'");
    refused("cairn init --data d --slot 1x", "--slot: '1x'");
    taken("cairn init --data d --slot 4294967294");
    assert_int_equal(option_number(&line, OPTION_SLOT, 0), UINT32_MAX - 1);

    refused("cairn init --data d --cluster 00", "--cluster: 2 characters; give exactly 32");
    refused("cairn init --data d --cluster 0123456789abcdef0123456789abcdeg", "exactly 32");
    taken("cairn init --data d --cluster 0123456789ABCDEF0123456789abcdef");
    assert_int_equal(option_find(&line, OPTION_CLUSTER)->bytes[1], 0x23);
    assert_int_equal(option_find(&line, OPTION_CLUSTER)->bytes[7], 0xef);

    refused("cairn space declare --data d --type counter x", "give gcounter or pncounter");
    refused("cairn limits --cells 0", "is not a number from 1 to");

    taken("cairn limits --pending-bytes 64MiB");
    assert_int_equal(option_number(&line, OPTION_PENDING_BYTES, 0), 64u << 20);
    taken("cairn limits --pending-bytes 65536");
    assert_int_equal(option_number(&line, OPTION_PENDING_BYTES, 0), 65536);
    refused("cairn limits --pending-bytes 64MB", "KiB, MiB or GiB");
    refused("cairn limits --pending-bytes 99999999999999TiB", "is not a size");
    refused("cairn limits --pending-bytes MiB", "is not a size");
}

#define ADD "cairn fact add --data d --space s --key k "

static void amounts_and_dots_are_checked(void **state)
{
    (void)state;
    taken(ADD "--amount -5");
    assert_int_equal((int64_t)option_number(&line, OPTION_AMOUNT, 0), -5);
    taken(ADD "--amount=-9223372036854775808");
    assert_true((int64_t)option_number(&line, OPTION_AMOUNT, 0) == INT64_MIN);
    taken(ADD "--amount +9223372036854775807");
    refused(ADD "--amount 9223372036854775808", "is not a 64-bit integer");
    refused(ADD "--amount 1.5", "is not a 64-bit integer");
    refused(ADD "--amount -", "is not a 64-bit integer");

    taken(ADD "--amount 1 --after 1.2.3 --after 4294967295.1.18446744073709551615");
    assert_int_equal(line.uses[line.use_count - 2].dot.incarnation, 2);
    assert_true(line.uses[line.use_count - 1].dot.sequence == UINT64_MAX);
    refused(ADD "--amount 1 --after 1.2", "is not SLOT.INCARNATION.SEQUENCE");
    refused(ADD "--amount 1 --after 1.2.0", "is not SLOT.INCARNATION.SEQUENCE");
    refused(ADD "--amount 1 --after 1.2.3.4", "is not SLOT.INCARNATION.SEQUENCE");
    refused(ADD "--amount 1 --after 4294967296.2.3", "is not SLOT.INCARNATION.SEQUENCE");
    taken(ADD "--amount 1 --after 1.1.1 --after 2.1.1 --after 3.1.1 --after 4.1.1 --after 5.1.1 "
              "--after 6.1.1 --after 7.1.1 --after 8.1.1");
    refused(ADD "--amount 1 --after 1.1.1 --after 2.1.1 --after 3.1.1 --after 4.1.1 --after 5.1.1 "
                "--after 6.1.1 --after 7.1.1 --after 8.1.1 --after 9.1.1",
            "--after is given more than 8 times");
}

static void lines_are_complete_and_not_more(void **state)
{
    (void)state;
    refused("cairn fact add --data d --space s --amount 1", "--key is missing; add --key KEY");
    refused("cairn fact add --data d --space s --key k --amount", "--amount needs a value");
    refused("cairn inspect", "DIR is missing");
    refused("cairn inspect a b", "'b' is one argument too many");
    refused("cairn inspect a --json=1", "--json takes no value");
    refused("cairn inspect a --json --json", "--json is given twice");
    refused("cairn digest --data a --data b", "--data is given twice");
    refused("cairn digest --data=", "--data: 0 bytes; give 1 to 4095");
}

static void foreign_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    refused("cairn inspect d --\x1b[31mred", "unknown option --\\x1b[31mred");
    refused("cairn \x07\xff", "unknown command '\\x07\\xff'");
}

static void the_parser_takes_any_line(void **state)
{
    (void)state;
    static const char *const words[] = {"cairn", "fact", "add", "--data", "d",  "--", "-",  "--=",
                                        "-=",    "=",    "",    "--key",  "-k", "1",  "-h", "demo"};
    enum { WORDS = sizeof words / sizeof words[0] };
    for (unsigned i = 0; i < WORDS * WORDS * WORDS * WORDS; i++) {
        char copies[5][16];
        char *list[6] = {copies[0], copies[1], copies[2], copies[3], copies[4], NULL};
        unsigned rest = i;
        strcpy(copies[0], "cairn");
        for (unsigned word = 1; word < 5; word++) {
            strcpy(copies[word], words[rest % WORDS]);
            rest /= WORDS;
        }
        bool was_taken = command_line_parse(&line, 5, list);
        assert_true(was_taken || *line.message != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_documented),
        cmocka_unit_test(every_command_is_documented),
        cmocka_unit_test(options_of_a_command_have_different_names),
        cmocka_unit_test(help_names_every_option_and_shows_examples_first),
        cmocka_unit_test(examples_can_be_typed),
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(aliases_and_help_find_their_command),
        cmocka_unit_test(unknown_words_are_met_with_a_suggestion),
        cmocka_unit_test(distances_count_edits),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(amounts_and_dots_are_checked),
        cmocka_unit_test(lines_are_complete_and_not_more),
        cmocka_unit_test(foreign_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(the_parser_takes_any_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
