/* SPDX-License-Identifier: Apache-2.0 */
/* The members' processes: started, listened to, killed, started again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/demo_run.h"
#include "cli/say.h"
#include "cli/text.h"

#define WINDOWS_OF_A_LIFE 128u
#define WINDOW_MAX 2048u
#define KILL_DELAY_NS_MAX 300000u
#define ARGUMENTS_MAX (16 + 2 * DEMO_MEMBERS + PACKAGE_FILES_MAX)

/* ---- Start --------------------------------------------------------------------------------- */

struct arguments {
    char *list[ARGUMENTS_MAX + 1];
    unsigned count;
    char slot[16];
    char window[32];
    char seed[32];
    char cluster[2 * CAIRN_CLUSTER_ID_SIZE + 1];
    char peers[DEMO_SLOTS][16 + 2 * CAIRN_PUBLIC_KEY_SIZE + 1];
};

static void add_argument(struct arguments *self, const char *argument)
{
    self->list[self->count++] = (char *)(uintptr_t)argument; /* execv() does not write to it */
}

static void add_option(struct arguments *self, const char *name, const char *value)
{
    add_argument(self, name);
    add_argument(self, value);
}

static void fill_arguments(struct arguments *self, const struct demo *demo, uint32_t slot,
                           bool restarted)
{
    memset(self, 0, sizeof *self);
    snprintf(self->slot, sizeof self->slot, "%u", slot);
    snprintf(self->seed, sizeof self->seed, "%llu", (unsigned long long)demo->seed);
    snprintf(self->window, sizeof self->window, "%llu",
             (unsigned long long)demo->members[slot].window);
    bytes_to_hex(demo->cluster_id, CAIRN_CLUSTER_ID_SIZE, self->cluster);
    add_argument(self, "cairn");
    add_argument(self, "demo-member");
    add_option(self, "--data", demo->folder);
    add_option(self, "--cluster", self->cluster);
    add_option(self, "--slot", self->slot);
    add_option(self, "--window", self->window);
    add_option(self, "--seed", self->seed);
    for (uint32_t peer = 1; peer < DEMO_SLOTS && restarted; peer++) {
        char key[2 * CAIRN_PUBLIC_KEY_SIZE + 1];
        if (peer == slot) continue;
        bytes_to_hex(demo->members[peer].public_key, CAIRN_PUBLIC_KEY_SIZE, key);
        snprintf(self->peers[peer], sizeof self->peers[peer], "%u:%s", peer, key);
        add_option(self, "--peer", self->peers[peer]);
    }
    add_argument(self, "--");
    for (uint32_t i = 0; i < demo->files.count; i++)
        add_argument(self, demo->files.paths[i]);
}

static void become_member(int channel, char *const *arguments)
{
    /* The copy loses close-on-exec; a descriptor that is the right one already keeps it. */
    if (channel == DEMO_CHANNEL)
        fcntl(channel, F_SETFD, 0);
    else
        dup2(channel, DEMO_CHANNEL);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

static int start_member(struct demo *self, uint32_t slot, bool restarted)
{
    struct demo_member *member = &self->members[slot];
    struct arguments arguments;
    int ends[2];
    member->opened = member->ready = member->killed = member->done = false;
    member->window = self->input.counts[slot] / WINDOWS_OF_A_LIFE;
    if (member->window < 1) member->window = 1;
    if (member->window > WINDOW_MAX) member->window = WINDOW_MAX;
    fill_arguments(&arguments, self, slot, restarted);
    /* SEQPACKET keeps messages whole, and says when the other side is gone. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return say_errno("making", "a socket pair");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) become_member(ends[1], arguments.list);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return say_errno("starting", "a member");
    }
    member->pid = pid;
    member->channel = ends[0];
    return 0;
}

/* ---- Listen -------------------------------------------------------------------------------- */

static void send_to(const struct demo_member *member, enum demo_message_kind kind, uint64_t facts)
{
    struct demo_message message = {.kind = kind, .facts = facts};
    /* A member that is gone is noticed where its messages end. */
    (void)send(member->channel, &message, sizeof message, MSG_NOSIGNAL);
}

static void kill_somewhen(struct demo *self, struct demo_member *member)
{
    struct timespec delay = {.tv_nsec = (long)prng_below(&self->prng, KILL_DELAY_NS_MAX)};
    nanosleep(&delay, NULL);
    kill(member->pid, SIGKILL);
    member->killed = true;
}

static int note_opened(struct demo *self, uint32_t slot, bool restarted,
                       const struct demo_message *message)
{
    struct demo_member *member = &self->members[slot];
    char reported[TEXT_NUMBER_SIZE];
    char recovered[TEXT_NUMBER_SIZE];
    member->opened = true;
    memcpy(member->public_key, message->public_key, sizeof member->public_key);
    if (!restarted) return 0;
    member->recovered = message->facts;
    member->recovery_ns = message->ns;
    member->durable = message->facts;
    if (member->recovered >= member->killed_at) return 0;
    return say_failure(
        CAIRN_CORRUPT, "member %u lost facts: %s were reported durable, %s were recovered", slot,
        text_number(member->killed_at, reported), text_number(member->recovered, recovered));
}

static void note_ready(struct demo *self, struct demo_member *member)
{
    member->ready = true;
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        if (!self->members[slot].ready) return;
    }
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
        send_to(&self->members[slot], DEMO_GO, 0);
}

static void show_progress(struct demo *self)
{
    uint64_t durable = 0;
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
        durable += self->members[slot].durable;
    progress_set(&self->progress, durable);
}

static void note_durable(struct demo *self, struct demo_member *member, bool restarted,
                         uint64_t facts)
{
    member->durable = facts;
    show_progress(self);
    if (restarted) return;
    member->killed_at = facts;
    if (member->killed) return; /* reported before it died */
    if (facts >= member->kill_target)
        kill_somewhen(self, member);
    else
        send_to(member, DEMO_SEEN, facts);
}

static int note_message(struct demo *self, uint32_t slot, bool restarted,
                        const struct demo_message *message)
{
    struct demo_member *member = &self->members[slot];
    switch (message->kind) {
    case DEMO_OPENED: return note_opened(self, slot, restarted, message);
    case DEMO_GO: note_ready(self, member); return 0;
    case DEMO_DURABLE: note_durable(self, member, restarted, message->facts); return 0;
    case DEMO_DONE:
        member->done = true;
        member->result = *message;
        return 0;
    default: return say_failure(CAIRN_SYSTEM, "member %u sent a message of no known kind", slot);
    }
}

/* The channel ended: how did the member? */
static int note_end(struct demo *self, uint32_t slot)
{
    struct demo_member *member = &self->members[slot];
    int status = 0;
    close(member->channel);
    while (waitpid(member->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    member->pid = 0;
    if (member->killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return 0;
    if (member->done && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    if (demo_signal != 0) return 0;
    progress_hide(&self->progress);
    if (WIFSIGNALED(status)) {
        return say_failure(CAIRN_SYSTEM, "member %u was ended by signal %d, which nobody here sent",
                           slot, WTERMSIG(status));
    }
    say("member %u ended too early", slot);
    return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_CODE_FAILURE;
}

static int listen_to(struct demo *self, uint32_t slot, bool restarted)
{
    struct demo_message message;
    ssize_t size = recv(self->members[slot].channel, &message, sizeof message, MSG_DONTWAIT);
    if (size == sizeof message) return note_message(self, slot, restarted, &message);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    return note_end(self, slot);
}

static int listen_to_all(struct demo *self, bool restarted)
{
    for (;;) {
        struct pollfd fds[DEMO_SLOTS];
        uint32_t running = 0;
        for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
            const struct demo_member *member = &self->members[slot];
            fds[slot] =
                (struct pollfd){.fd = member->pid != 0 ? member->channel : -1, .events = POLLIN};
            running += member->pid != 0;
        }
        if (running == 0) return 0;
        int ready = poll(fds + 1, DEMO_MEMBERS, -1);
        if (demo_signal != 0) return EXIT_CODE_INTERRUPTED;
        if (ready < 0 && errno != EINTR) return say_errno("waiting for", "the members");
        for (uint32_t slot = 1; slot < DEMO_SLOTS && ready > 0; slot++) {
            if (fds[slot].revents == 0) continue;
            int code = listen_to(self, slot, restarted);
            if (code != 0) return code;
        }
    }
}

/* Between 30 and 70 % of the member's facts, and not so late that it could pass that. */
static void choose_kill(struct demo *self, uint32_t slot)
{
    uint64_t total = self->input.counts[slot];
    uint64_t ahead = 2 * (total / WINDOWS_OF_A_LIFE + 1);
    uint64_t from = total * 30 / 100;
    uint64_t to = total * 70 / 100;
    to = to > from + ahead ? to - ahead : from;
    self->members[slot].kill_target = from + prng_below(&self->prng, to - from + 1);
}

int demo_live(struct demo *self, bool restarted)
{
    int code = 0;
    progress_begin(&self->progress, restarted ? "restarted" : "until kill", "facts durable",
                   self->facts, self->quiet);
    for (uint32_t slot = 1; slot < DEMO_SLOTS && code == 0; slot++) {
        if (!restarted) choose_kill(self, slot);
        code = start_member(self, slot, restarted);
    }
    if (code == 0) code = listen_to_all(self, restarted);
    progress_hide(&self->progress);
    if (code == 0) progress_end(&self->progress);
    return code;
}

void demo_kill_all(struct demo *self)
{
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        struct demo_member *member = &self->members[slot];
        if (member->pid == 0) continue;
        kill(member->pid, SIGKILL);
        while (waitpid(member->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        close(member->channel);
        member->pid = 0;
    }
}
