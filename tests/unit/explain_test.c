/*
 * What `quickbid recover --explain` makes of what it found, row by row: a row changes the healthy
 * cluster, and says what must be told, what must not be, and the exit status.
 */
#include <stdio.h>

#include "app/explain_parts.h"
#include "tests/kit/test.h"

#define AWAY                                                                                       \
    {                                                                                              \
        .why = "connection refused"                                                                \
    }

static struct qb_explain healthy(void)
{
    struct qb_explain explain = {
        .shards = 2,
        .situation = {.epoch = {.epoch = 7, .state = QB_EPOCH_OPEN}, .auctions = 5},
        .prefix = "qb",
    };

    for (unsigned i = 0; i < explain.shards; i++) {
        explain.redis[i].epoch = 7;
        explain.seen.queues[i] = (struct qb_rabbit_count){false, 3, 1};
    }
    return explain;
}

static void none(struct qb_explain *e)
{
    (void)e;
}

static void no_postgres(struct qb_explain *e)
{
    e->postgres = (struct qb_explain_answer)AWAY;
    e->situation = (struct qb_situation){0};
}

static void no_rabbit(struct qb_explain *e)
{
    e->rabbit = (struct qb_explain_answer)AWAY;
    e->seen = (struct qb_journal_rabbit_seen){0};
}

static void no_redis(struct qb_explain *e)
{
    e->redis[1] = (struct qb_explain_shard){.answer = AWAY};
}

static void lost_redis(struct qb_explain *e)
{
    e->redis[0].fence = QB_EXPLAIN_NO_EPOCH;
}

static void restarted_without_postgres(struct qb_explain *e)
{
    no_postgres(e);
    e->redis[1].fence = QB_EXPLAIN_RESTARTED;
}

static void lost_queue(struct qb_explain *e)
{
    e->seen.queues[1] = (struct qb_rabbit_count){.is_missing = true};
}

static void lost_both(struct qb_explain *e)
{
    lost_redis(e);
    lost_queue(e);
}

static void lead(struct qb_explain *e, enum qb_epoch_state state, const char *step)
{
    struct qb_situation_leader *leader = &e->situation.leader;

    e->situation.epoch.state = (uint8_t)state;
    *leader = (struct qb_situation_leader){.is_there = true, .backend = 99, .step_s = 12};
    (void)snprintf(leader->address, sizeof leader->address, "10.0.0.7");
    (void)snprintf(leader->name, sizeof leader->name, "4711@web-3");
    (void)snprintf(leader->step, sizeof leader->step, "%s", step);
}

static void draining(struct qb_explain *e)
{
    lead(e, QB_EPOCH_SEALING, "drain");
    e->situation.drained[0] = 2;
    e->situation.drained[1] = 1;
}

static void draining_unread(struct qb_explain *e)
{
    draining(e);
    e->seen.queues[0].consumers = 0;
}

static void rebuilding(struct qb_explain *e)
{
    lead(e, QB_EPOCH_REBUILDING, "rebuild");
    e->redis[0].fence = QB_EXPLAIN_REBUILDING;
}

static void rebuilding_without_redis(struct qb_explain *e)
{
    rebuilding(e);
    no_redis(e);
}

static void stopped(struct qb_explain *e)
{
    e->situation.epoch.state = QB_EPOCH_SEALING;
}

static void first_start(struct qb_explain *e)
{
    e->situation.epoch = (struct qb_epoch){.epoch = 0, .state = QB_EPOCH_SEALING};
    for (unsigned i = 0; i < e->shards; i++) {
        e->redis[i].fence = QB_EXPLAIN_NO_EPOCH;
        e->seen.queues[i] = (struct qb_rabbit_count){.is_missing = true};
    }
}

static void quarantined(struct qb_explain *e)
{
    e->situation.quarantined = 4;
}

static void dead_letters(struct qb_explain *e)
{
    e->seen.dead.messages = 1;
}

static const struct {
    const char *says;
    void (*change)(struct qb_explain *explain);
    int status;
    const char *told[3];
    const char *not_told;
} rows[] = {
    /* clang-format off */
    {"all is well", none, 0, {"Recovery    is not needed.", "Do          Nothing."}, "Waits"},
    {"Postgres is away", no_postgres, 3, {"is not known to be needed", "Bring Postgres back first"}, "Waits"},
    {"RabbitMQ is away", no_rabbit, 3, {"whether it is needed shows", "Start RabbitMQ again with its data", "do not restart Redis before"}, "Nothing"},
    {"a Redis is away", no_redis, 3, {"whether it is needed shows", "Start Redis again with its data"}, "Nothing"},
    {"a Redis lost its data", lost_redis, 1, {"is needed, and not begun", "nothing that was acknowledged is lost", "Start a server"}, "PAGE"},
    {"and Postgres is away, too", restarted_without_postgres, 3, {"cannot begin", "Waits for   Postgres.", "Bring Postgres back first"}, "Start a server"},
    {"a queue is lost", lost_queue, 1, {"is needed", "A queue is lost. Do not restart Redis"}, "PAGE"},
    {"a queue and Redis are lost", lost_both, 1, {"PAGE A DEVELOPER", "Keep the data folders of both"}, "A queue is lost"},
    {"it drains", draining, 1, {"led by 4711@web-3 from 10.0.0.7 (process 99 of Postgres), in step \"drain\" for 12 s.", "6 messages; 1 of 2 shards", "Nothing: it goes on by itself"}, "Start"},
    {"and nobody reads", draining_unread, 1, {"Waits for   persisters", "Start `quickbid persist`"}, "Nothing"},
    {"it rebuilds", rebuilding, 1, {"in step \"rebuild\"", "Waits for   nothing", "Nothing: it goes on"}, "persist"},
    {"and a Redis is away", rebuilding_without_redis, 3, {"in step \"rebuild\"", "Waits for   Redis 1.", "Start Redis again"}, "Nothing"},
    {"its leader died", stopped, 1, {"was begun, and nobody leads it", "Start a server"}, "Nothing"},
    {"the first start", first_start, 1, {"no epoch was ever opened", "Start a server"}, "PAGE"},
    {"entries are quarantined", quarantined, 1, {"Recovery    is not needed.", "PAGE A DEVELOPER: entries are quarantined"}, "Nothing"},
    {"dead letters", dead_letters, 1, {"PAGE A DEVELOPER: RabbitMQ discarded"}, "Nothing"},
    /* clang-format on */
};

QB_TEST(what_was_found_is_told_in_words_that_help)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qb_explain explain = healthy();
        struct qb_text text = {0};

        rows[i].change(&explain);
        QB_EXPECT_EQ(qb_explain_advise(&explain, &text), rows[i].status, rows[i].says);
        for (size_t j = 0; j < 3 && rows[i].told[j] != NULL; j++) {
            bool is_told = strstr(text.bytes, rows[i].told[j]) != NULL;
            QB_EXPECT(is_told, rows[i].told[j]);
            if (!is_told) (void)printf("%s:\n%s", rows[i].says, text.bytes);
        }
        QB_EXPECT(strstr(text.bytes, rows[i].not_told) == NULL, rows[i].says);
        qb_text_fini(&text);
    }
}
