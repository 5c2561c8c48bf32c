/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "cli/text.h"
#include "facts/space.h"

const struct option_row option_table[OPTIONS] = {
#define OPTION_ROW(id, name, letter, kind, value, minimum, maximum, help)                          \
    {name, letter, VALUE_##kind, value, minimum, maximum, help},
    OPTION_MAP(OPTION_ROW)
#undef OPTION_ROW
};

/* ---- Suggestions --------------------------------------------------------------------------- */

#define DISTANCE_TEXT_MAX 48u

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* Optimal string alignment (Damerau 1964), in three rows. */
size_t text_distance(const char *left, const char *right)
{
    size_t left_size = strlen(left);
    size_t right_size = strlen(right);
    if (left_size > DISTANCE_TEXT_MAX || right_size > DISTANCE_TEXT_MAX) return SIZE_MAX;
    size_t rows[3][DISTANCE_TEXT_MAX + 1];
    for (size_t j = 0; j <= right_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= left_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3]; /* above it */
        row[0] = i;
        for (size_t j = 1; j <= right_size; j++) {
            bool equal = left[i - 1] == right[j - 1];
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (equal ? 0 : 1));
            bool swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
    }
    return rows[left_size % 3][right_size];
}

/* Is `found` closer than a guess? At most a third of the letters may be wrong, at least one. */
static bool is_close(const char *text, size_t distance)
{
    size_t allowed = (strlen(text) + 2) / 3;
    return distance <= (allowed > 3 ? 3 : allowed);
}

/* The part of the text behind a first word that the command has, too. */
static const char *behind_common_word(const char *text, const char *name)
{
    const char *blank = strchr(text, ' ');
    if (blank == NULL) return text;
    size_t size = (size_t)(blank - text) + 1;
    return strncmp(text, name, size) == 0 ? text + size : text;
}

const char *command_suggest(const char *text)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (const struct command *row = command_table; row->name != NULL; row++) {
        if ((row->flags & COMMAND_HIDDEN) != 0) continue;
        size_t distance = text_distance(text, row->name);
        if (distance >= best_distance) continue;
        best_distance = distance;
        best = row->name;
    }
    if (best == NULL) return NULL;
    return is_close(behind_common_word(text, best), best_distance) ? best : NULL;
}

static const char *option_suggest(uint64_t options, const char *name)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (unsigned id = 0; id < OPTIONS; id++) {
        if ((options >> id & 1) == 0) continue;
        size_t distance = text_distance(name, option_table[id].name);
        if (distance >= best_distance) continue;
        best_distance = distance;
        best = option_table[id].name;
    }
    return best != NULL && is_close(name, best_distance) ? best : NULL;
}

/* ---- Commands ------------------------------------------------------------------------------ */

const struct command *command_find(const char *name)
{
    for (const struct command *row = command_table; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) return row;
        if (row->alias != NULL && strcmp(row->alias, name) == 0) return row;
    }
    return NULL;
}

bool command_is_group(const char *word)
{
    size_t size = strlen(word);
    for (const struct command *row = command_table; row->name != NULL; row++) {
        if (strncmp(row->name, word, size) == 0 && row->name[size] == ' ') return true;
    }
    return false;
}

/* ---- Failures ------------------------------------------------------------------------------ */

static __attribute__((format(printf, 2, 3))) bool refuse_line(struct command_line *line,
                                                              const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(line->message, sizeof line->message, format, list);
    va_end(list);
    return false;
}

/* A foreign text in a message: safe to show, and not too long. */
struct shown {
    char text[64];
};

static const char *show(const char *text, struct shown *shown)
{
    return text_printable(text, strlen(text), shown->text, sizeof shown->text);
}

static bool refuse_option(struct command_line *line, const char *given, const char *name)
{
    struct shown shown;
    const char *suggestion = option_suggest(line->command->options, name);
    if (suggestion != NULL) {
        return refuse_line(line, "unknown option %s; did you mean --%s?", show(given, &shown),
                           suggestion);
    }
    return refuse_line(line, "unknown option %s; 'cairn help %s' lists the options",
                       show(given, &shown), line->command->name);
}

static bool refuse_command(struct command_line *line, const char *first, const char *second)
{
    char both[2 * DISTANCE_TEXT_MAX] = "";
    struct shown shown;
    bool is_group = command_is_group(first);
    bool has_second = second != NULL && *second != '-';
    if (has_second) snprintf(both, sizeof both, "%s %s", first, second);

    const char *suggestion = has_second ? command_suggest(both) : NULL;
    if (suggestion == NULL && !is_group) suggestion = command_suggest(first);
    const char *given = is_group && has_second ? both : first;
    if (suggestion != NULL) {
        return refuse_line(line, "unknown command '%s'; did you mean 'cairn %s'?",
                           show(given, &shown), suggestion);
    }
    if (is_group && !has_second) {
        return refuse_line(line, "'%s' needs a second word; 'cairn help %s' lists them",
                           show(first, &shown), first);
    }
    return refuse_line(line, "unknown command '%s'; 'cairn help' lists the commands",
                       show(given, &shown));
}

/* ---- Values -------------------------------------------------------------------------------- */

static bool parse_number(struct command_line *line, struct option_use *use)
{
    const struct option_row *row = &option_table[use->option];
    if (text_to_u64(use->text, row->maximum, &use->number) && use->number >= row->minimum)
        return true;
    struct shown shown;
    char minimum[TEXT_NUMBER_SIZE];
    char maximum[TEXT_NUMBER_SIZE];
    return refuse_line(line, "--%s: '%s' is not a number from %s to %s; give one in digits",
                       row->name, show(use->text, &shown), text_number(row->minimum, minimum),
                       text_number(row->maximum, maximum));
}

static bool text_to_size(const char *text, uint64_t *size)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    char digits[TEXT_NUMBER_SIZE];
    size_t count = strspn(text, "0123456789");
    if (count == 0 || count >= sizeof digits) return false;
    memcpy(digits, text, count);
    digits[count] = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + count, units[i].name) != 0) continue;
        if (!text_to_u64(digits, UINT64_MAX >> units[i].shift, size)) return false;
        *size <<= units[i].shift;
        return true;
    }
    return false;
}

static bool parse_size(struct command_line *line, struct option_use *use)
{
    const struct option_row *row = &option_table[use->option];
    if (text_to_size(use->text, &use->number) && use->number >= row->minimum &&
        use->number <= row->maximum) {
        return true;
    }
    struct shown shown;
    char maximum[TEXT_NUMBER_SIZE];
    return refuse_line(line,
                       "--%s: '%s' is not a size up to %s; give bytes, or a number with KiB, "
                       "MiB or GiB behind it",
                       row->name, show(use->text, &shown), text_bytes(row->maximum, maximum));
}

static bool parse_amount(struct command_line *line, struct option_use *use)
{
    int64_t amount;
    struct shown shown;
    if (!text_to_i64(use->text, &amount)) {
        return refuse_line(line,
                           "--%s: '%s' is not a 64-bit integer; give digits, with '-' in "
                           "front for a negative amount",
                           option_table[use->option].name, show(use->text, &shown));
    }
    use->number = (uint64_t)amount;
    return true;
}

static bool parse_hex(struct command_line *line, struct option_use *use)
{
    const struct option_row *row = &option_table[use->option];
    cairn_assert(row->minimum <= sizeof use->bytes);
    if (bytes_from_hex(use->text, use->bytes, row->minimum)) return true;
    return refuse_line(line, "--%s: %zu characters; give exactly %llu hexadecimal digits",
                       row->name, strlen(use->text), (unsigned long long)row->minimum * 2);
}

static bool parse_dot(struct command_line *line, struct option_use *use)
{
    struct shown shown;
    if (text_to_dot(use->text, &use->dot)) return true;
    return refuse_line(line,
                       "--%s: '%s' is not SLOT.INCARNATION.SEQUENCE; give a dot as cairn fact "
                       "add prints it, such as 1.1.42",
                       option_table[use->option].name, show(use->text, &shown));
}

static bool parse_type(struct command_line *line, struct option_use *use)
{
    struct shown shown;
    use->number = space_type_of_name(use->text);
    if (use->number != 0) return true;
    return refuse_line(line, "--%s: unknown type '%s'; give gcounter or pncounter",
                       option_table[use->option].name, show(use->text, &shown));
}

static bool parse_peer(struct command_line *line, struct option_use *use)
{
    char digits[16];
    const char *colon = strchr(use->text, ':');
    size_t size = colon != NULL ? (size_t)(colon - use->text) : sizeof digits;
    if (size < sizeof digits) {
        memcpy(digits, use->text, size);
        digits[size] = 0;
        if (text_to_u64(digits, UINT32_MAX - 1, &use->number) &&
            bytes_from_hex(colon + 1, use->bytes, CAIRN_PUBLIC_KEY_SIZE)) {
            return true;
        }
    }
    return refuse_line(line, "--%s: not SLOT:HEX64; give a slot, a colon and 64 hexadecimal digits",
                       option_table[use->option].name);
}

static bool parse_string(struct command_line *line, struct option_use *use)
{
    const struct option_row *row = &option_table[use->option];
    size_t size = strlen(use->text);
    if (size >= row->minimum && size <= row->maximum) return true;
    return refuse_line(line, "--%s: %zu bytes; give %llu to %llu", row->name, size,
                       (unsigned long long)row->minimum, (unsigned long long)row->maximum);
}

static bool parse_value(struct command_line *line, struct option_use *use)
{
    switch (option_table[use->option].kind) {
    case VALUE_FLAG: return true;
    case VALUE_STRING: return parse_string(line, use);
    case VALUE_NUMBER: return parse_number(line, use);
    case VALUE_AMOUNT: return parse_amount(line, use);
    case VALUE_SIZE: return parse_size(line, use);
    case VALUE_HEX: return parse_hex(line, use);
    case VALUE_DOT: return parse_dot(line, use);
    case VALUE_TYPE: return parse_type(line, use);
    case VALUE_PEER: return parse_peer(line, use);
    }
    return false;
}

/* ---- The line ------------------------------------------------------------------------------ */

static uint64_t uses_allowed(const struct option_row *row)
{
    return row->kind == VALUE_DOT || row->kind == VALUE_PEER ? row->maximum : 1;
}

static bool check_use_count(struct command_line *line, enum option_id option)
{
    const struct option_row *row = &option_table[option];
    uint64_t count = 1;
    for (uint32_t i = 0; i < line->use_count; i++)
        count += line->uses[i].option == option;
    uint64_t allowed = uses_allowed(row);
    if (count > allowed && allowed == 1)
        return refuse_line(line, "--%s is given twice; give it once", row->name);
    if (count > allowed || line->use_count == OPTION_USES_MAX) {
        return refuse_line(line, "--%s is given more than %llu times; give it less often",
                           row->name, (unsigned long long)allowed);
    }
    return true;
}

/* `given` is the option as it stands on the line; *at moves behind a value that it takes. */
static bool take_option(struct command_line *line, const char *given, int argc, char **argv,
                        int *at)
{
    bool is_long = given[1] == '-';
    const char *name = given + (is_long ? 2 : 1);
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t name_size = equals != NULL ? (size_t)(equals - name) : strlen(name);

    unsigned id = 0;
    for (; id < OPTIONS; id++) {
        if ((line->command->options >> id & 1) == 0) continue;
        const struct option_row *row = &option_table[id];
        if (is_long && strlen(row->name) == name_size && memcmp(row->name, name, name_size) == 0)
            break;
        if (!is_long && row->letter != 0 && row->letter == name[0]) break;
    }
    if (id == OPTIONS) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)(name_size < 63 ? name_size : 63), name);
        return refuse_option(line, given, text);
    }

    const struct option_row *row = &option_table[id];
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (!is_long && name[1] != 0) value = name + 1; /* -dDIR */
    if (row->kind == VALUE_FLAG && value != NULL)
        return refuse_line(line, "--%s takes no value; leave out what follows it", row->name);
    if (row->kind != VALUE_FLAG && value == NULL) {
        if (*at + 1 >= argc) {
            return refuse_line(line, "--%s needs a value; write --%s %s", row->name, row->name,
                               row->value);
        }
        value = argv[++*at];
    }
    if (!check_use_count(line, (enum option_id)id)) return false;
    struct option_use *use = &line->uses[line->use_count];
    *use = (struct option_use){.option = (enum option_id)id, .text = value};
    if (!parse_value(line, use)) return false;
    line->use_count++;
    return true;
}

static bool check_complete(struct command_line *line)
{
    const struct command *command = line->command;
    for (unsigned id = 0; id < OPTIONS; id++) {
        if ((command->required >> id & 1) == 0 || option_is_given(line, (enum option_id)id))
            continue;
        const struct option_row *row = &option_table[id];
        return refuse_line(line, "--%s is missing; add --%s %s (%s)", row->name, row->name,
                           row->value, row->help);
    }
    if (line->argument_count < command->arguments_min)
        return refuse_line(line, "%s is missing behind the options", command->arguments);
    if (line->argument_count > command->arguments_max) {
        struct shown shown;
        return refuse_line(line,
                           "'%s' is one argument too many; 'cairn help %s' shows what it takes",
                           show(line->arguments[command->arguments_max], &shown), command->name);
    }
    return true;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

/* Finds the command; returns how many words of argv its name takes, 0: none, refused. */
static int find_command(struct command_line *line, int argc, char **argv)
{
    char both[2 * DISTANCE_TEXT_MAX];
    const char *second = argc > 2 ? argv[2] : NULL;
    if (second != NULL) {
        int size = snprintf(both, sizeof both, "%s %s", argv[1], second);
        if (size > 0 && (size_t)size < sizeof both) line->command = command_find(both);
        if (line->command != NULL) return 2;
    }
    line->command = command_find(argv[1]);
    if (line->command != NULL && strchr(line->command->name, ' ') == NULL) return 1;
    line->command = NULL;
    refuse_command(line, argv[1], second);
    return 0;
}

bool command_line_parse(struct command_line *line, int argc, char **argv)
{
    memset(line, 0, sizeof *line);
    if (argc < 2 || argv[1][0] == '-') return true;

    int words = find_command(line, argc, argv);
    if (words == 0) return false;
    if (wants_help(argc, argv)) {
        line->uses[0] = (struct option_use){.option = OPTION_HELP};
        line->use_count = 1;
        return true;
    }
    line->arguments = (const char **)(void *)(argv + 1 + words);
    bool only_arguments = false;
    for (int at = 1 + words; at < argc; at++) {
        const char *word = argv[at];
        if (only_arguments || word[0] != '-' || word[1] == 0) {
            line->arguments[line->argument_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (!take_option(line, word, argc, argv, &at)) {
            return false;
        }
    }
    return check_complete(line);
}

/* ---- What was given ------------------------------------------------------------------------ */

const struct option_use *option_find(const struct command_line *line, enum option_id option)
{
    for (uint32_t i = line->use_count; i-- > 0;) {
        if (line->uses[i].option == option) return &line->uses[i];
    }
    return NULL;
}

bool option_is_given(const struct command_line *line, enum option_id option)
{
    return option_find(line, option) != NULL;
}

const char *option_text(const struct command_line *line, enum option_id option)
{
    const struct option_use *use = option_find(line, option);
    return use != NULL ? use->text : NULL;
}

uint64_t option_number(const struct command_line *line, enum option_id option, uint64_t otherwise)
{
    const struct option_use *use = option_find(line, option);
    return use != NULL ? use->number : otherwise;
}
