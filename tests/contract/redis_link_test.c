/*
 * The link to Redis against real servers: it comes up on the right one, says why it is down, and
 * answers every command once, whatever happens to the server.
 */
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/redis.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

#define COMMANDS 100
#define CHANNELS 5000

struct seen {
    int ups;
    int downs;
    int answers;
    int nulls;
    int errors;
    int64_t number; /* of the last answer */
    int messages;
    int subscribed;
    char last[64];
    char run_id[64];
    char why[512];
    struct qb_redis *link;
};

static uv_loop_t loop;
static bool has_stack;

static void turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    qb_clock_sleep_us(500);
}

/* Turns until the condition holds, at most `ms`. */
#define UNTIL(condition, ms)                                                                       \
    for (int64_t until_us = qb_clock_mono_us() + (ms)*QB_MS_US;                                    \
         !(condition) && qb_clock_mono_us() < until_us;)                                           \
    turn()

static void on_up(void *context, const char *run_id)
{
    struct seen *seen = context;

    seen->ups++;
    (void)snprintf(seen->run_id, sizeof seen->run_id, "%s", run_id);
}

static void on_down(void *context, const char *why)
{
    struct seen *seen = context;

    seen->downs++;
    (void)snprintf(seen->why, sizeof seen->why, "%s", why);
}

static void on_message(void *context, const char *channel, size_t channel_length, const void *bytes,
                       size_t length)
{
    struct seen *seen = context;

    (void)bytes;
    (void)length;
    seen->messages++;
    (void)snprintf(seen->last, sizeof seen->last, "%.*s", (int)channel_length, channel);
}

static void on_subscribed(void *context, const char *channel, size_t channel_length)
{
    struct seen *seen = context;

    (void)channel;
    (void)channel_length;
    seen->subscribed++;
}

static void on_answer(void *context, const struct qb_redis_reply *reply)
{
    struct seen *seen = context;

    if (reply == NULL) {
        seen->nulls++;
        return;
    }
    seen->answers++;
    if (qb_redis_kind_of(reply) == QB_REDIS_ERROR) seen->errors++;
    seen->number = qb_redis_integer(reply, -1);
    const char *pid = strstr(qb_redis_text(reply, NULL), "process_id:");
    if (pid != NULL) seen->number = strtol(pid + strlen("process_id:"), NULL, 10);
}

/* The address of one shard in a list of them. */
static const char *address_of(const char *name, int shard)
{
    static char text[512];
    const char *from = qb_stack_value(name);

    for (int i = 0; i < shard; i++) from = strchr(from, ',') + 1;
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(from, ","), from);
    return text;
}

static const char *application(void)
{
    return address_of("REDIS_URL", 1);
}

static const char *operator(void)
{
    return address_of("REDIS_OPERATOR_URL", 1);
}

static struct qb_redis_options options_of(struct seen *seen, const char *address)
{
    *seen = (struct seen){0};
    return (struct qb_redis_options){
        .loop = &loop,
        .address = address,
        .name = "link-test",
        .up = on_up,
        .down = on_down,
        .message = on_message,
        .subscribed = on_subscribed,
        .context = seen,
    };
}

static void open_link(struct seen *seen, const struct qb_redis_options *options)
{
    struct qb_error error = {{0}};

    seen->link = qb_redis_new(options, &error);
    QB_EXPECT_TEXT(error.text, "", "the address is good");
}

static void need_stack(void)
{
    if (has_stack) return;
    has_stack = true;
    (void)signal(SIGPIPE, SIG_IGN);
    qb_stack_start("redis");
    (void)uv_loop_init(&loop);
}

/* Frees the link; nothing of it may stay in the loop. */
static void close_link(struct seen *seen)
{
    qb_redis_free(&seen->link);
    for (int i = 0; i < 8; i++) turn();
}

static void say(struct seen *seen, size_t count, const char *const *words)
{
    qb_redis_command(seen->link, count, words, NULL, on_answer, seen);
}

#define SAY(seen, ...)                                                                             \
    say((seen), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                            \
        (const char *[]){__VA_ARGS__})

/* One command by a link that may do everything. */
static void do_as_operator(struct seen *boss, size_t count, const char *const *words)
{
    int answers = boss->answers;

    UNTIL(qb_redis_is_up(boss->link), 10000);
    say(boss, count, words);
    UNTIL(boss->answers > answers, 10000);
    QB_EXPECT_EQ(boss->errors, 0, words[0]);
}

#define OPERATOR(boss, ...)                                                                        \
    do_as_operator((boss), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                 \
                   (const char *[]){__VA_ARGS__})

QB_TEST(a_link_comes_up_when_its_server_comes)
{
    struct seen seen;

    need_stack();
    qb_stack_kill("redis-1");
    struct qb_redis_options options = options_of(&seen, application());
    options.must_be_safe = true;
    open_link(&seen, &options);
    SAY(&seen, "PING");
    QB_EXPECT_EQ(seen.nulls, 0, "never inside the call");
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT(strstr(seen.why, "connection refused") != NULL, seen.why);
    QB_EXPECT_EQ(seen.nulls, 1, "not up: no answer");
    for (int i = 0; i < 600; i++) turn();
    QB_EXPECT_EQ(seen.downs, 1, "the same reason is told once");
    qb_stack_revive("redis-1");
    UNTIL(seen.ups > 0, 5000);
    QB_EXPECT(qb_redis_is_up(seen.link), "up");
    SAY(&seen, "PING");
    UNTIL(seen.answers > 0, 5000);
    QB_EXPECT_EQ(seen.answers, 1, "answered");
    close_link(&seen);
    QB_EXPECT_EQ(uv_loop_alive(&loop), 0, "nothing stays in the loop");
}

QB_TEST(a_killed_server_leaves_no_command_without_an_answer)
{
    struct seen seen;
    struct seen boss;
    char run_id[64];

    need_stack();
    struct qb_redis_options options = options_of(&boss, operator());
    open_link(&boss, &options);
    options = options_of(&seen, application());
    options.answer_ms = 20000;
    open_link(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    OPERATOR(&boss, "CLIENT", "PAUSE", "60000", "ALL");
    for (int i = 0; i < COMMANDS; i++) SAY(&seen, "TIME");
    for (int i = 0; i < 20; i++) turn();
    QB_EXPECT_EQ(seen.nulls + seen.answers, 0, "all are under way");
    qb_stack_kill("redis-1");
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT_EQ(seen.nulls, COMMANDS, "each once");
    qb_stack_revive("redis-1");
    UNTIL(seen.ups > 1, 5000);
    QB_EXPECT_EQ(seen.ups, 2, "up again");
    QB_EXPECT(strcmp(run_id, seen.run_id) != 0, "another process");
    QB_EXPECT_EQ(seen.nulls, COMMANDS, "none a second time");
    QB_EXPECT_EQ(seen.answers, 0, "nothing is sent again by itself");
    close_link(&seen);
    close_link(&boss);
}

QB_TEST(a_silent_server_is_left)
{
    struct seen seen;
    char run_id[64];

    need_stack();
    struct qb_redis_options options = options_of(&seen, application());
    options.answer_ms = 500;
    open_link(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    SAY(&seen, "INFO", "server");
    UNTIL(seen.answers > 0, 5000);
    pid_t pid = (pid_t)seen.number;
    QB_EXPECT(pid > 1, "its process");
    if (pid <= 1) return;
    (void)kill(pid, SIGSTOP);
    int64_t sent_us = qb_clock_mono_us();
    SAY(&seen, "TIME");
    UNTIL(seen.nulls > 0, 5000);
    int64_t waited_us = qb_clock_mono_us() - sent_us;
    QB_EXPECT(waited_us >= 450 * QB_MS_US, "not before its time");
    QB_EXPECT(waited_us < 2 * QB_SECOND_US, "soon after it");
    QB_EXPECT(strstr(seen.why, "no answer within 500 ms") != NULL, seen.why);
    UNTIL(seen.downs > 1, 5000);
    QB_EXPECT(strstr(seen.why, "no answer") != NULL, "a stopped server takes connections");
    (void)kill(pid, SIGCONT);
    UNTIL(seen.ups > 1, 8000);
    QB_EXPECT_TEXT(seen.run_id, run_id, "the same process");
    close_link(&seen);
}

QB_TEST(a_server_that_may_lose_bids_is_refused)
{
    static const char *const rows[][4] = {
        {"appendonly", "no", "yes", "appendonly is no and must be yes"},
        {"appendfsync", "everysec", "always", "appendfsync is everysec and must be always"},
        {"no-appendfsync-on-rewrite", "yes", "no",
         "no-appendfsync-on-rewrite is yes and must be no"},
        {"aof-load-truncated", "yes", "no", "aof-load-truncated is yes and must be no"},
        {"maxmemory-policy", "allkeys-lru", "noeviction",
         "maxmemory-policy is allkeys-lru and must be noeviction"},
    };
    struct seen seen;
    struct seen boss;

    need_stack();
    struct qb_redis_options options = options_of(&boss, operator());
    open_link(&boss, &options);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        OPERATOR(&boss, "CONFIG", "SET", rows[i][0], rows[i][1]);
        options = options_of(&seen, application());
        options.must_be_safe = true;
        open_link(&seen, &options);
        UNTIL(seen.downs > 0, 5000);
        QB_EXPECT_EQ(seen.ups, 0, rows[i][0]);
        QB_EXPECT(strstr(seen.why, rows[i][3]) != NULL, seen.why);
        OPERATOR(&boss, "CONFIG", "SET", rows[i][0], rows[i][2]);
        UNTIL(seen.ups > 0, 5000);
        QB_EXPECT_EQ(seen.ups, 1, "put right, it is taken");
        close_link(&seen);
    }
    close_link(&boss);
}

QB_TEST(a_wrong_password_is_refused_and_not_told)
{
    struct seen seen;
    char address[512];

    need_stack();
    const char *at = strrchr(application(), '@');
    (void)snprintf(address, sizeof address, "redis://quickbid:hush-hush%s", at);
    struct qb_redis_options options = options_of(&seen, address);
    open_link(&seen, &options);
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT(strstr(seen.why, "the login was refused (WRONGPASS)") != NULL, seen.why);
    QB_EXPECT(strstr(seen.why, "hush") == NULL, "the password stays inside");
    close_link(&seen);
}

QB_TEST(commands_beyond_the_limit_are_not_taken)
{
    struct seen seen;

    need_stack();
    struct qb_redis_options options = options_of(&seen, application());
    options.commands_max = 10;
    open_link(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    for (int i = 0; i < 15; i++) SAY(&seen, "TIME");
    QB_EXPECT_EQ(seen.nulls, 0, "never inside the call");
    UNTIL(seen.nulls + seen.answers == 15, 5000);
    QB_EXPECT_EQ(seen.answers, 10, "as many as may be");
    QB_EXPECT_EQ(seen.nulls, 5, "and no more");
    close_link(&seen);
}

static void free_at_once(void *context, const struct qb_redis_reply *reply)
{
    struct seen *seen = context;

    on_answer(seen, reply);
    qb_redis_free(&seen->link);
}

QB_TEST(a_link_may_be_freed_at_any_time)
{
    struct seen seen;

    need_stack();
    for (int turns = 0; turns < 40; turns++) {
        struct qb_redis_options options = options_of(&seen, application());
        open_link(&seen, &options);
        for (int i = 0; i < turns; i++) turn();
        for (int i = 0; i < 5; i++) SAY(&seen, "TIME");
        qb_redis_free(&seen.link);
        QB_EXPECT_EQ(seen.nulls, 5, "answered inside the call");
        QB_EXPECT_EQ(seen.downs, 0, "and nothing is told");
    }
    for (int i = 0; i < 8; i++) turn();
    struct qb_redis_options options = options_of(&seen, application());
    open_link(&seen, &options);
    UNTIL(seen.ups > 0, 5000);
    qb_redis_command(seen.link, 1, (const char *[]){"TIME"}, NULL, free_at_once, &seen);
    for (int i = 0; i < 4; i++) SAY(&seen, "TIME");
    UNTIL(seen.nulls + seen.answers == 5, 5000);
    QB_EXPECT_EQ(seen.answers, 1, "freed in the first answer");
    QB_EXPECT_EQ(seen.nulls, 4, "the others have none");
    for (int i = 0; i < 8; i++) turn();
    QB_EXPECT_EQ(uv_loop_alive(&loop), 0, "nothing stays in the loop");
}

static void subscribe_many(struct seen *ear, int from, int to)
{
    char channel[64];

    for (int i = from; i < to; i++) {
        (void)snprintf(channel, sizeof channel, "qb:{q1}:user:%016x", (unsigned)i);
        qb_redis_subscribe(ear->link, channel);
    }
}

QB_TEST(a_subscriber_hears_again_after_a_restart)
{
    struct seen ear;
    struct seen mouth;

    need_stack();
    struct qb_redis_options options = options_of(&ear, application());
    options.is_subscriber = true;
    open_link(&ear, &options);
    options = options_of(&mouth, application());
    open_link(&mouth, &options);
    subscribe_many(&ear, 0, CHANNELS);
    UNTIL(ear.ups > 0 && mouth.ups > 0, 10000);
    QB_EXPECT_EQ(ear.ups, 1, "up when all is subscribed");
    QB_EXPECT_EQ(ear.subscribed, 0, "which `up` says");
    subscribe_many(&ear, CHANNELS - 1, CHANNELS + 1);
    UNTIL(ear.subscribed > 0, 5000);
    qb_redis_unsubscribe(ear.link, "qb:{q1}:user:0000000000000007");
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000000001", "x");
    UNTIL(ear.messages > 0, 5000);
    QB_EXPECT_EQ(ear.subscribed, 1, "one was new");
    qb_stack_kill("redis-1");
    UNTIL(ear.downs > 0 && mouth.downs > 0, 5000);
    qb_stack_revive("redis-1");
    UNTIL(ear.ups > 1 && mouth.ups > 1, 10000);
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000000007", "x");
    SAY(&mouth, "PUBLISH", "qb:{q1}:user:0000000000001388", "x");
    UNTIL(ear.messages > 1, 5000);
    QB_EXPECT_TEXT(ear.last, "qb:{q1}:user:0000000000001388", "subscribed anew");
    QB_EXPECT_EQ(ear.messages, 2, "once, and not what was given up");
    UNTIL(false, 3000);
    QB_EXPECT_EQ(ear.ups + ear.downs, 3, "its pings keep it up when idle");
    close_link(&ear);
    close_link(&mouth);
}

QB_TEST(a_demoted_primary_is_left_within_two_seconds)
{
    struct seen seen;
    struct seen writer;
    struct seen boss;

    need_stack();
    struct qb_redis_options options = options_of(&boss, operator());
    open_link(&boss, &options);
    options = options_of(&seen, application());
    open_link(&seen, &options);
    options = options_of(&writer, application());
    open_link(&writer, &options);
    UNTIL(seen.ups > 0 && writer.ups > 0, 5000);
    OPERATOR(&boss, "REPLICAOF", "127.0.0.1", "1");
    SAY(&writer, "INCR", "qb:{q1}:1:state");
    UNTIL(writer.downs > 0, 500);
    QB_EXPECT_EQ(writer.errors, 1, "answered");
    QB_EXPECT(strstr(writer.why, "it is read-only") != NULL, writer.why);
    UNTIL(seen.downs > 0, 2000);
    QB_EXPECT_EQ(seen.downs, 1, "noticed");
    QB_EXPECT(strstr(seen.why, "its role is slave") != NULL, seen.why);
    close_link(&boss);
    /* By a client that does not mind the role. */
    char line[600];
    (void)snprintf(line, sizeof line,
                   "redis-cli --no-auth-warning -u '%s' replicaof no one >/dev/null", operator());
    QB_EXPECT_EQ(system(line), 0, "promoted again");
    UNTIL(seen.ups > 1, 5000);
    QB_EXPECT_EQ(seen.ups, 2, "up again");
    close_link(&seen);
    close_link(&writer);
}

QB_TEST(sentinel_leads_to_the_new_primary)
{
    struct seen seen;
    struct seen ear;
    char address[1024];
    char run_id[64];

    need_stack();
    /* sentinel://:PASSWORD@HOST:PORT/NAME beside redis://USER:PASSWORD@... */
    const char *sentinel = qb_stack_value("REDIS_SENTINEL_URL") + strlen("sentinel://:");
    const char *where = strchr(sentinel, '@') + 1;
    const char *login = address_of("REDIS_URL", 0) + strlen("redis://");
    (void)snprintf(address, sizeof address,
                   "redis+sentinel://%.*s@127.0.0.1:1,%s?sentinel_password=%.*s",
                   (int)strcspn(login, "@"), login, where, (int)strcspn(sentinel, "@"), sentinel);
    struct qb_redis_options options = options_of(&seen, address);
    options.must_be_safe = true;
    open_link(&seen, &options);
    options = options_of(&ear, address);
    options.is_subscriber = true;
    open_link(&ear, &options);
    qb_redis_subscribe(ear.link, "qb:{q0}:user:1");
    UNTIL(seen.ups > 0 && ear.ups > 0, 5000);
    QB_EXPECT_EQ(seen.ups, 1, "a Sentinel that is not there is passed over");
    (void)snprintf(run_id, sizeof run_id, "%s", seen.run_id);
    qb_stack_kill("redis-0");
    UNTIL(seen.ups > 1 && ear.ups > 1, 20000);
    QB_EXPECT_EQ(seen.ups, 2, "up on the promoted replica");
    QB_EXPECT(strcmp(seen.run_id, run_id) != 0, "another process");
    QB_EXPECT_TEXT(ear.run_id, seen.run_id, "both on the same");
    SAY(&seen, "PUBLISH", "qb:{q0}:user:1", "x");
    UNTIL(ear.messages > 0, 5000);
    QB_EXPECT_EQ(ear.messages, 1, "and it carries messages");
    close_link(&seen);
    close_link(&ear);
    QB_EXPECT_EQ(uv_loop_close(&loop), 0, "nothing stays in the loop");
    qb_stack_stop();
}
