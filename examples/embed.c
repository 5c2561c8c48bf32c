/* SPDX-License-Identifier: Apache-2.0 */
/* Counts how often it was run: cc embed.c -lcairn -o embed && ./embed FOLDER */
#include <stdio.h>
#include <string.h>

#include <cairn.h>

static int failed(const char *what, int result, const char *message)
{
    fprintf(stderr, "%s: %s: %s\n", what, cairn_result_name(result), message);
    return cairn_result_exit_code(result);
}

int main(int argc, char **argv)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    struct cairn_options options = {.size = sizeof options, .flags = CAIRN_OPEN_CREATE, .slot = 1};
    options.folder = argc > 1 ? argv[1] : "embed.data";
    memcpy(options.cluster_id, "an example clust", CAIRN_CLUSTER_ID_SIZE);

    cairn_engine *engine;
    int result = cairn_open(&options, &engine, message);
    if (result != CAIRN_OK) return failed("open", result, message);

    uint32_t space = 0;
    struct cairn_ticket ticket;
    struct cairn_value runs;
    result = cairn_space_declare(engine, "runs", CAIRN_GCOUNTER, &space);
    struct cairn_effect effect = {"embed", 5, space, CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    if (result == CAIRN_OK) result = cairn_admit(engine, &fact, 1, &ticket, NULL);
    if (result == CAIRN_OK) result = cairn_wait(engine, ticket.position, 10000);
    if (result == CAIRN_OK) result = cairn_read(engine, space, "embed", 5, &runs);
    if (result != CAIRN_OK) {
        int code = failed("count", result, cairn_error_message(engine));
        (void)cairn_close(engine);
        return code;
    }
    printf("run number %lld, fact %u.%u.%llu\n", (long long)runs.low, ticket.dot.slot,
           ticket.dot.incarnation, (unsigned long long)ticket.dot.sequence);
    return cairn_result_exit_code(cairn_close(engine));
}
