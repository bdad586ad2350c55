#include "app/redis_desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/loop.h"
#include "base/assert.h"
#include "base/clock.h"
#include "storage/ledger_redis_open.h"

#define ANSWER_US     (10 * QB_SECOND_US) /* the link itself gives up before */
#define UNDER_WAY_MAX 1000

struct place {
    struct qb_redis_desk *desk;
    struct qb_redis *redis;
};

struct qb_redis_desk {
    struct qb_loop *loop;
    struct place *places;
    unsigned count;
    unsigned up;
    bool is_all_up;
    bool is_broken; /* a connection was lost since the last wait */
    char why[200];  /* the newest reason */
    size_t under_way;
    bool is_settled;
    bool has_failed;
    char failure[200];
    qb_redis_answer *answer; /* of the one that is asked */
    void *answer_context;
};

static void up(void *context, const char *run_id)
{
    struct qb_redis_desk *desk = ((struct place *)context)->desk;

    (void)run_id;
    desk->up++;
    desk->is_all_up = desk->up == desk->count;
}

static void down(void *context, const char *why)
{
    struct place *place = context;
    struct qb_redis_desk *desk = place->desk;

    (void)snprintf(desk->why, sizeof desk->why, "%s", why);
    desk->is_broken = true;
    desk->is_all_up = false;
    desk->up = 0;
    for (unsigned i = 0; i < desk->count; i++) {
        if (desk->places[i].redis != NULL && qb_redis_is_up(desk->places[i].redis)) desk->up++;
    }
}

struct qb_redis_desk *qb_redis_desk_new(const struct qb_shard_addresses *addresses,
                                        const char *name, struct qb_error *error)
{
    struct qb_redis_desk *desk = calloc(1, sizeof *desk);

    QB_ASSERT(desk != NULL);
    desk->count = addresses->count;
    desk->places = calloc(desk->count, sizeof *desk->places);
    QB_ASSERT(desk->places != NULL);
    desk->loop = qb_loop_new(16);
    for (unsigned i = 0; i < desk->count; i++) {
        struct place *place = &desk->places[i];
        place->desk = desk;
        const struct qb_redis_options options = {
            .loop = qb_loop_uv(desk->loop),
            .address = addresses->list[i],
            .name = name,
            .must_be_safe = true,
            .up = up,
            .down = down,
            .context = place,
        };
        place->redis = qb_redis_new(&options, error);
        if (place->redis != NULL) continue;
        qb_redis_desk_free(&desk);
        return NULL;
    }
    return desk;
}

void qb_redis_desk_free(struct qb_redis_desk **desk)
{
    struct qb_redis_desk *old = *desk;

    *desk = NULL;
    if (old == NULL) return;
    for (unsigned i = 0; i < old->count; i++) qb_redis_free(&old->places[i].redis);
    qb_loop_settle(old->loop);
    qb_loop_free(&old->loop);
    free(old->places);
    free(old);
}

unsigned qb_redis_desk_shards(const struct qb_redis_desk *desk)
{
    return desk->count;
}

bool qb_redis_desk_wait(struct qb_redis_desk *desk, int64_t timeout_us, struct qb_error *error)
{
    qb_loop_settle(desk->loop); /* what broke since the last call is noticed first */
    if (!qb_loop_wait(desk->loop, &desk->is_all_up, qb_clock_mono_us() + timeout_us)) {
        return qb_error_set(error, "Redis: %s", desk->why[0] != '\0' ? desk->why : "no connection");
    }
    desk->is_broken = false;
    return true;
}

static void take_answer(void *context, const struct qb_redis_reply *reply)
{
    struct qb_redis_desk *desk = context;

    desk->under_way--;
    desk->is_settled = desk->under_way == 0;
    bool is_error = reply == NULL || qb_redis_kind_of(reply) == QB_REDIS_ERROR;
    if (is_error && !desk->has_failed) {
        desk->has_failed = true;
        (void)snprintf(desk->failure, sizeof desk->failure, "%s",
                       reply != NULL ? qb_redis_text(reply, NULL) : "no answer");
    }
    if (is_error || desk->answer == NULL) return;
    desk->answer(desk->answer_context, reply);
}

void qb_redis_desk_send(struct qb_redis_desk *desk, unsigned shard, struct qb_words *words)
{
    QB_ASSERT(shard < desk->count);
    QB_ASSERT(desk->under_way < UNDER_WAY_MAX);
    desk->under_way++;
    desk->is_settled = false;
    qb_words_send(words, desk->places[shard].redis, take_answer, desk);
}

bool qb_redis_desk_settle(struct qb_redis_desk *desk, struct qb_error *error)
{
    if (desk->under_way == 0) desk->is_settled = true;
    bool is_settled = qb_loop_wait(desk->loop, &desk->is_settled, qb_clock_mono_us() + ANSWER_US);
    bool is_good = is_settled && !desk->has_failed && !desk->is_broken;
    if (!is_good) {
        (void)qb_error_set(error, "Redis: %s",
                           desk->has_failed ? desk->failure : "the connection was lost");
    }
    desk->has_failed = false;
    return is_good;
}

void qb_redis_desk_listen(struct qb_redis_desk *desk, qb_redis_answer *answer, void *context)
{
    QB_ASSERT(desk->under_way == 0);
    desk->answer = answer;
    desk->answer_context = context;
}

bool qb_redis_desk_ask(struct qb_redis_desk *desk, unsigned shard, struct qb_words *words,
                       qb_redis_answer *answer, void *context, struct qb_error *error)
{
    qb_redis_desk_listen(desk, answer, context);
    qb_redis_desk_send(desk, shard, words);
    bool is_good = qb_redis_desk_settle(desk, error);
    desk->answer = NULL;
    return is_good;
}

struct opening {
    bool is_done;
    bool is_open;
    char why[200];
};

static void opened(void *context, const char *why)
{
    struct opening *opening = context;

    opening->is_done = true;
    opening->is_open = why == NULL;
    if (why != NULL) (void)snprintf(opening->why, sizeof opening->why, "%s", why);
}

bool qb_redis_desk_open(struct qb_redis_desk *desk, unsigned shard, uint32_t epoch,
                        struct qb_error *error)
{
    struct opening opening = {.why = "no answer"};

    QB_ASSERT(shard < desk->count);
    qb_ledger_redis_open_shard(desk->places[shard].redis, shard, epoch, opened, &opening);
    /* The link answers within its own time, also when it is lost: `opening` outlives that. */
    while (!opening.is_done) {
        (void)qb_loop_wait(desk->loop, &opening.is_done, qb_clock_mono_us() + ANSWER_US);
    }
    if (opening.is_open && !desk->is_broken) return true;
    return qb_error_set(error, "Redis: %s", opening.is_open ? desk->why : opening.why);
}
