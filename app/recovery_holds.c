#include "app/recovery_holds.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/shard.h"
#include "storage/limits_redis.h"

#define UNDER_WAY_MAX 16 /* calls sent before their answers are awaited */

struct qb_recovery_hold {
    qb_id user;
    qb_id auction;
    uint64_t seq;
    int64_t amount;
    char currency[QB_CURRENCY_BYTES];
};

/* Whose limits there are. */
struct limited {
    qb_id user;
    char currency[QB_CURRENCY_BYTES];
};
#define LIMITED_BYTES (sizeof(qb_id) + QB_CURRENCY_BYTES)

void qb_recovery_holds_add(struct qb_recovery_holds *holds, const struct qb_lot *lot)
{
    if (lot->leader == 0) return;
    if (holds->count == holds->room) {
        holds->room = holds->room == 0 ? 256 : holds->room * 2;
        holds->list = realloc(holds->list, holds->room * sizeof *holds->list);
        QB_ASSERT(holds->list != NULL);
    }
    struct qb_recovery_hold *hold = &holds->list[holds->count++];
    *hold = (struct qb_recovery_hold){lot->leader, lot->auction, lot->seq, lot->m1, ""};
    (void)memcpy(hold->currency, lot->rules.currency, sizeof hold->currency);
}

void qb_recovery_holds_fini(struct qb_recovery_holds *holds)
{
    free(holds->list);
    *holds = (struct qb_recovery_holds){0};
}

static void limited_key(qb_id user, const char *currency, uint8_t key[LIMITED_BYTES])
{
    struct limited limited = {.user = user};

    (void)memset(key, 0, LIMITED_BYTES);
    for (size_t i = 0; i < sizeof limited.currency - 1 && currency[i] != '\0'; i++)
        limited.currency[i] = currency[i];
    (void)memcpy(key, &limited.user, sizeof limited.user);
    (void)memcpy(&key[sizeof limited.user], limited.currency, sizeof limited.currency);
}

static bool add_limited(void *context, qb_id user, const char *currency, int64_t amount)
{
    uint8_t key[LIMITED_BYTES];

    limited_key(user, currency, key);
    if (amount >= 0) (void)qb_map_set(context, key, context);
    return true;
}

/* Holds of one shard that go together. */
struct batch {
    struct qb_hold list[QB_LIMITS_REDIS_HOLDS_MAX];
    size_t count;
};

struct sending {
    struct qb_redis_desk *desk;
    uint32_t epoch;
    const atomic_bool *is_ending;
    struct batch *batches; /* by shard */
    struct qb_words words;
    size_t under_way;
    struct qb_error *error;
};

static bool settle(struct sending *sending)
{
    sending->under_way = 0;
    QB_TRY(qb_redis_desk_settle(sending->desk, sending->error));
    return !atomic_load(sending->is_ending) || qb_error_set(sending->error, "this replica ends");
}

static bool send_batch(struct sending *sending, unsigned shard)
{
    struct batch *batch = &sending->batches[shard];

    if (batch->count == 0) return true;
    qb_limits_redis_hold_words(&sending->words, shard, sending->epoch, batch->list, batch->count);
    qb_redis_desk_send(sending->desk, shard, &sending->words);
    batch->count = 0;
    /* The batches are their caller's. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return ++sending->under_way < UNDER_WAY_MAX || settle(sending);
}

static bool send_all(struct sending *sending, const struct qb_recovery_holds *holds,
                     const struct qb_map *limited, size_t *set)
{
    unsigned shards = qb_redis_desk_shards(sending->desk);

    for (size_t i = 0; i < holds->count; i++) {
        const struct qb_recovery_hold *hold = &holds->list[i];
        unsigned shard = qb_shard_of(hold->user, shards);
        struct batch *batch = &sending->batches[shard];
        uint8_t key[LIMITED_BYTES];
        limited_key(hold->user, hold->currency, key);
        if (qb_map_get(limited, key) == NULL) continue;
        batch->list[batch->count++] = (struct qb_hold){.user = hold->user,
                                                       .auction = hold->auction,
                                                       .currency = hold->currency,
                                                       .seq = hold->seq,
                                                       .amount = hold->amount};
        (*set)++;
        if (batch->count == QB_LIMITS_REDIS_HOLDS_MAX) QB_TRY(send_batch(sending, shard));
    }
    for (unsigned shard = 0; shard < shards; shard++) QB_TRY(send_batch(sending, shard));
    return settle(sending);
}

/* NOLINTNEXTLINE(readability-function-size): as many things meet here */
bool qb_recovery_holds_set(const struct qb_recovery_holds *holds, struct qb_redis_desk *desk,
                           const struct qb_store_ops *store, struct qb_store_link *link,
                           uint32_t epoch, const atomic_bool *is_ending, size_t *set,
                           struct qb_error *error)
{
    struct sending sending = {.desk = desk, .epoch = epoch, .is_ending = is_ending, .error = error};
    struct qb_map limited;

    *set = 0;
    qb_map_init(&limited, LIMITED_BYTES);
    sending.batches = calloc(qb_redis_desk_shards(desk), sizeof *sending.batches);
    QB_ASSERT(sending.batches != NULL);
    bool is_done = store->limits(link, add_limited, &limited, error) == QB_STORE_OK &&
                   send_all(&sending, holds, &limited, set);
    qb_words_fini(&sending.words);
    free(sending.batches);
    qb_map_fini(&limited);
    return is_done;
}
