/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to an exit code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/text.h"
#include "crypto/address.h"

/* Lines such as `cairn --version`, without a command. */
static int run_without_command(int argc, char **argv)
{
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("cairn %s\n", cairn_version());
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_overview(stdout);
        return 0;
    }
    char shown[64];
    text_printable(argv[1], strlen(argv[1]), shown, sizeof shown);
    say("unknown option %s in front of a command; 'cairn help' lists the commands", shown);
    return EXIT_CODE_USAGE;
}

/* `cairn fact --help`, and `cairn fact` alone. */
static bool run_group(int argc, char **argv, int *code)
{
    if (argc < 2 || !command_is_group(argv[1]) || command_find(argv[1]) != NULL) return false;
    bool wants_help = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (argc > 2 && !wants_help) return false;
    help_group(wants_help ? stdout : stderr, argv[1]);
    *code = wants_help ? 0 : EXIT_CODE_USAGE;
    return true;
}

static int run(int argc, char **argv)
{
    static struct command_line line; /* large, and there is one */
    int code;
    if (run_group(argc, argv, &code)) return code;
    if (!command_line_parse(&line, argc, argv)) {
        if (line.command != NULL)
            say("%s: %s", line.command->name, line.message);
        else
            say("%s", line.message);
        if (line.command != NULL)
            fprintf(stderr, "       'cairn help %s' shows examples\n", line.command->name);
        return EXIT_CODE_USAGE;
    }
    if (line.command == NULL) return run_without_command(argc, argv);
    if (option_is_given(&line, OPTION_HELP)) {
        help_command(stdout, line.command);
        return 0;
    }
    return line.command->run(&line);
}

/*
 * The command has the internal rooms once more, beside those inside the library, and these were not
 * set up by cairn_open().
 */
static void say_assertion(const char *expression, const char *file, int line)
{
    fprintf(stderr, "cairn: a defect of cairn: %s:%d: %s is not so; please report it\n", file, line,
            expression);
}

static void set_up(void)
{
    cairn_assert_hook = say_assertion;
    address_init();
}

int command_run(int argc, char **argv)
{
    set_up();
    int code = run(argc, argv);
    /* What could not be printed was not done: a full disk must not look like success. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = say_errno("writing to", "standard output");
    return code;
}
