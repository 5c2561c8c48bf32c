/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member of the demonstration: a process of its own, so that it can be killed. Its first life
 * begins with an empty folder. In its second life it is given the other members' keys: it exports
 * what it recovered, imports what the others recovered, and goes on with its own facts.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "cli/bundles.h"
#include "cli/commands.h"
#include "cli/demo.h"
#include "cli/folder.h"
#include "cli/memory.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/text.h"
#include "facts/certificate.h"

#define BATCH_FACTS 64u
#define WAIT_MS 60000u

void demo_path(char *path, size_t size, const char *folder, const char *name, uint32_t slot)
{
    snprintf(path, size, "%s/%s-%u", folder, name, slot);
}

/* A fact takes some 200 bytes, with its record and certificate; every member keeps those of all. */
void demo_limits(uint64_t facts, struct cairn_limits *limits)
{
    const uint64_t bytes_of_fact = 1024;
    const uint64_t gibibyte = UINT64_C(1) << 30;
    const uint64_t segment = UINT64_C(16) << 20;
    memset(limits, 0, sizeof *limits);
    limits->cells_max = facts < 65536 ? 65536 : facts;
    limits->journal_bytes_max =
        facts * bytes_of_fact < gibibyte ? gibibyte : round_up(facts * bytes_of_fact, segment);
}

/* ---- The channel --------------------------------------------------------------------------- */

/* A member whose demonstration is gone has nobody to work for. */
static int send_message(const struct demo_message *message)
{
    ssize_t size = send(DEMO_CHANNEL, message, sizeof *message, MSG_NOSIGNAL);
    return size == sizeof *message ? 0 : say_errno("writing to", "the demonstration");
}

/* 1: a message; 0: none there, with MSG_DONTWAIT; -1: the other side is gone. */
static int receive_message(struct demo_message *message, int flags)
{
    for (;;) {
        ssize_t size = recv(DEMO_CHANNEL, message, sizeof *message, flags);
        if (size == sizeof *message) return 1;
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT) != 0) return 0;
        return -1;
    }
}

/* ---- The member ---------------------------------------------------------------------------- */

struct seen {
    uint32_t incarnation; /* 0: nothing of the member was seen */
    uint64_t last;
};

struct member_run {
    const struct command_line *line;
    const char *folder;
    uint32_t slot;
    bool restarted;
    cairn_engine *engine;
    struct demo_facts facts;
    uint32_t spaces[DEMO_KINDS];
    struct seen seen[DEMO_SLOTS];
    uint64_t recovered; /* own facts that the folder held */
    struct bundle_totals early;
    uint64_t window;
    /* Counts of own facts since the first life. */
    uint64_t next; /* admitted */
    uint64_t durable;
    uint64_t reported;
    uint64_t seen_by_demo;
    uint64_t *positions; /* of each fact's ticket */
    uint64_t admit_ns;
    uint64_t repeated;
    uint64_t dependencies;
};

static int declare_spaces(struct member_run *self)
{
    static const struct {
        const char *name;
        uint32_t type;
    } spaces[DEMO_KINDS] = {
#define DEMO_SPACE_ROW(name, text, type) {text, type},
        DEMO_SPACE_MAP(DEMO_SPACE_ROW)
#undef DEMO_SPACE_ROW
    };
    for (unsigned i = 0; i < DEMO_KINDS; i++) {
        int result =
            cairn_space_declare(self->engine, spaces[i].name, spaces[i].type, &self->spaces[i]);
        if (result != CAIRN_OK) return folder_refusal(self->engine, result, spaces[i].name);
    }
    return 0;
}

static int open_member(struct member_run *self)
{
    char path[PATH_MAX];
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    struct cairn_recovery recovery;
    uint64_t facts = 0;
    struct cairn_options options = {
        .size = sizeof options,
        .folder = path,
        .flags = CAIRN_OPEN_CREATE,
        .slot = self->slot,
    };
    demo_path(path, sizeof path, self->folder, "member", self->slot);
    memcpy(options.cluster_id, option_find(self->line, OPTION_CLUSTER)->bytes,
           CAIRN_CLUSTER_ID_SIZE);
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
        facts += self->facts.counts[slot];
    demo_limits(facts, &options.limits);
    int result = cairn_open(&options, &self->engine, message);
    if (result != CAIRN_OK) return say_refusal(result, path, message);
    cairn_recovered(self->engine, &recovery);
    self->recovered = recovery.facts_applied + recovery.facts_from_checkpoint;

    struct demo_message opened = {
        .kind = DEMO_OPENED,
        .slot = self->slot,
        .facts = self->recovered,
        .ns = recovery.nanoseconds,
    };
    cairn_public_key(self->engine, opened.public_key);
    int code = send_message(&opened);
    return code != 0 ? code : declare_spaces(self);
}

/* ---- The others' facts --------------------------------------------------------------------- */

static int add_peers(struct member_run *self)
{
    for (uint32_t i = 0; i < self->line->use_count; i++) {
        const struct option_use *use = &self->line->uses[i];
        if (use->option != OPTION_PEER) continue;
        int result = cairn_member_add(self->engine, (uint32_t)use->number, use->bytes);
        if (result != CAIRN_OK) return folder_refusal(self->engine, result, "adding a member");
    }
    return 0;
}

/* What an import of these bundles makes seen: the last dot of each member. */
static int note_seen(struct member_run *self, const struct bundle_list *list)
{
    struct certificate certificate;
    uint8_t *buffer = memory_take(CAIRN_BUNDLE_SIZE_MAX);
    int code = 0;
    for (size_t i = 0; i < list->count && code == 0; i++) {
        code = bundle_list_read(list, i, buffer);
        if (code != 0) break;
        if (certificate_decode(&certificate, buffer, list->places[i].size) != CAIRN_OK) continue;
        if (certificate.slot >= DEMO_SLOTS || certificate_last(&certificate) == 0) continue;
        struct seen *seen = &self->seen[certificate.slot];
        if (certificate_last(&certificate) <= seen->last) continue;
        *seen = (struct seen){certificate.incarnation, certificate_last(&certificate)};
    }
    free(buffer);
    return code;
}

static int import_others(struct member_run *self)
{
    char paths[DEMO_SLOTS][PATH_MAX];
    struct bundle_list list;
    struct prng prng;
    int code = 0;
    bundle_list_init(&list);
    for (uint32_t slot = 1; slot < DEMO_SLOTS && code == 0; slot++) {
        if (slot == self->slot) continue;
        demo_path(paths[slot], sizeof paths[slot], self->folder, "early", slot);
        code = bundle_list_add(&list, paths[slot]);
    }
    prng_init(&prng, option_number(self->line, OPTION_SEED, 0) + self->slot);
    bundle_list_shuffle(&list, &prng);
    if (code == 0) code = note_seen(self, &list);
    if (code == 0) code = bundle_list_import(&list, self->engine, &self->early, NULL, NULL);
    size_t left = list.count;
    bundle_list_free(&list);
    if (code != 0 || left == 0) return code;
    return say_failure(CAIRN_UNSEEN_DEPENDENCY, "the others' early bundles are not complete");
}

static int exchange_early(struct member_run *self)
{
    char path[PATH_MAX];
    uint64_t bundles;
    struct demo_message message = {.kind = DEMO_GO, .slot = self->slot};
    demo_path(path, sizeof path, self->folder, "early", self->slot);
    int code = bundles_export_file(self->engine, path, &bundles);
    if (code == 0) code = add_peers(self);
    if (code == 0) code = send_message(&message); /* mine are there */
    if (code != 0) return code;
    if (receive_message(&message, 0) != 1 || message.kind != DEMO_GO) return EXIT_CODE_FAILURE;
    return import_others(self);
}

/* ---- Own facts ----------------------------------------------------------------------------- */

/* The fact of the package before, which another member made, where it was seen here. */
static uint32_t fill_dependency(const struct member_run *self, const struct demo_fact *fact,
                                struct cairn_dot *dependency)
{
    const struct seen *seen = &self->seen[fact->other_slot];
    if (fact->other_slot == 0 || fact->other_count == 0) return 0;
    if (seen->incarnation == 0 || fact->other_count > seen->last) return 0;
    *dependency = (struct cairn_dot){fact->other_slot, seen->incarnation, fact->other_count};
    return 1;
}

static int report_durable(struct member_run *self)
{
    uint64_t durable = cairn_durable(self->engine);
    while (self->durable < self->next && self->positions[self->durable] <= durable)
        self->durable++;
    if (self->durable <= self->reported) return 0;
    self->reported = self->durable;
    struct demo_message report = {
        .kind = DEMO_DURABLE,
        .slot = self->slot,
        .facts = self->durable,
    };
    return send_message(&report);
}

/* Waits until the fact before `next` is durable. */
static int wait_durable(struct member_run *self)
{
    int result = cairn_wait(self->engine, self->positions[self->next - 1], WAIT_MS);
    if (result != CAIRN_OK)
        return folder_refusal(self->engine, result, "waiting until it is durable");
    return report_durable(self);
}

/* A fact that was sent before must get the ticket that it got then. */
static int check_repeated(struct member_run *self, uint64_t index,
                          const struct cairn_ticket *ticket)
{
    if (index >= self->recovered) return 0;
    self->repeated++;
    if (ticket->dot.sequence == index + 1 && ticket->position == 0) return 0;
    char dot[TEXT_DOT_SIZE];
    return say_failure(CAIRN_SYSTEM, "member %u: fact %llu was sent again and got the new dot %s",
                       self->slot, (unsigned long long)index + 1, text_dot(&ticket->dot, dot));
}

static int admit_batch(struct member_run *self, uint64_t limit)
{
    struct cairn_fact facts[BATCH_FACTS];
    struct cairn_effect effects[BATCH_FACTS];
    struct cairn_dot dependencies[BATCH_FACTS];
    struct cairn_ticket tickets[BATCH_FACTS];
    size_t count = 0;
    size_t admitted = 0;
    for (; count < BATCH_FACTS && self->next + count < limit; count++) {
        const struct demo_fact *fact = &self->facts.facts[self->next + count];
        effects[count] = (struct cairn_effect){
            .key = self->facts.keys + fact->key_offset,
            .key_size = fact->key_size,
            .space = self->spaces[fact->kind],
            .operation = CAIRN_ADD,
            .amount = fact->amount,
        };
        facts[count] = (struct cairn_fact){
            .effects = &effects[count],
            .effect_count = 1,
            .dependencies = &dependencies[count],
            .dependency_count = fill_dependency(self, fact, &dependencies[count]),
            .idempotency_key = fact->idempotency_key,
        };
    }
    uint64_t started = monotonic_ns();
    int result = cairn_admit(self->engine, facts, count, tickets, &admitted);
    self->admit_ns += monotonic_ns() - started;
    for (size_t i = 0; i < admitted; i++) {
        int code = check_repeated(self, self->next, &tickets[i]);
        if (code != 0) return code;
        if (self->next >= self->recovered) self->dependencies += facts[i].dependency_count;
        self->positions[self->next++] = tickets[i].position;
    }
    if (result == CAIRN_OK) return 0;
    if (result != CAIRN_BUSY) return folder_refusal(self->engine, result, "a fact is refused");
    if (self->durable < self->next) return wait_durable(self);
    result = folder_settle(self->engine);
    return result == CAIRN_OK ? 0 : folder_refusal(self->engine, result, "waiting for room");
}

static int note_seen_by_demo(struct member_run *self, int flags)
{
    struct demo_message message;
    int received;
    while ((received = receive_message(&message, flags)) == 1) {
        if (message.kind == DEMO_SEEN) self->seen_by_demo = message.facts;
        flags = MSG_DONTWAIT; /* one was waited for; take what else is there */
    }
    return received < 0 ? EXIT_CODE_FAILURE : 0;
}

static int admit_all(struct member_run *self)
{
    uint64_t total = self->facts.count;
    int code = 0;
    while (code == 0 && self->durable < total) {
        uint64_t allowed = self->restarted ? total : self->seen_by_demo + 2 * self->window;
        if (allowed > total) allowed = total;
        if (self->next < allowed)
            code = admit_batch(self, allowed);
        else if (self->durable < self->next)
            code = wait_durable(self);
        else
            code = note_seen_by_demo(self, 0);
        if (code == 0) code = report_durable(self);
        if (code == 0) code = note_seen_by_demo(self, MSG_DONTWAIT);
    }
    return code;
}

static int finish(struct member_run *self, uint64_t ns)
{
    char path[PATH_MAX];
    struct demo_message done = {
        .kind = DEMO_DONE,
        .slot = self->slot,
        .facts = self->next - self->recovered,
        .ns = ns,
        .admit_ns = self->admit_ns,
        .repeated = self->repeated,
        .dependencies = self->dependencies,
        .early_bundles = self->early.bundles,
        .early_waited = self->early.waited,
        .early_facts = self->early.applied,
    };
    demo_path(path, sizeof path, self->folder, "bundles", self->slot);
    int code = bundles_export_file(self->engine, path, &done.bundles);
    return code != 0 ? code : send_message(&done);
}

static int run_member(struct member_run *self)
{
    if (self->recovered > self->facts.count) {
        return say_failure(CAIRN_FOREIGN,
                           "member %u recovered more facts than the input has; use a "
                           "fresh --data folder",
                           self->slot);
    }
    int code = self->restarted ? exchange_early(self) : 0;
    if (code != 0) return code;
    uint64_t overlap = self->recovered < DEMO_OVERLAP ? self->recovered : DEMO_OVERLAP;
    self->next = self->recovered - overlap;
    self->durable = self->next;
    self->reported = self->recovered;
    self->seen_by_demo = self->recovered;
    uint64_t started = monotonic_ns();
    code = admit_all(self);
    return code != 0 ? code : finish(self, monotonic_ns() - started);
}

int command_demo_member(struct command_line *line)
{
    struct member_run self = {
        .line = line,
        .folder = option_text(line, OPTION_DEMO_DATA),
        .slot = (uint32_t)option_number(line, OPTION_SLOT, 0),
        .window = option_number(line, OPTION_WINDOW, 0),
        .restarted = option_is_given(line, OPTION_PEER),
    };
    if (self.slot == 0 || self.slot >= DEMO_SLOTS)
        return say_failure(CAIRN_INVALID_ARGUMENT, "--slot: give 1 to %u", DEMO_MEMBERS);
    /* The terminal interrupts the demonstration, which ends its members; so does its death. */
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int code = demo_facts_read(&self.facts, (char *const *)(uintptr_t)line->arguments,
                               line->argument_count, self.slot, NULL, NULL);
    if (code == 0) {
        self.positions = memory_take((self.facts.count + 1) * sizeof *self.positions);
        code = open_member(&self);
    }
    if (code == 0) code = run_member(&self);
    if (self.engine != NULL) code = folder_close(self.engine, code);
    free(self.positions);
    demo_facts_free(&self.facts);
    return code;
}
