/*
 * Logouts, roles, bans and limits over two replicas with one store and a real Redis: what one
 * decides holds on the other within a second, and within five when no message comes.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "app/control.h"
#include "base/clock.h"
#include "storage/store_sqlite.h"
#include "tests/kit/database.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

enum { ANN = 11, BOB = 12 };

#define READ_US (300 * QB_MS_US) /* between two reads of the store */

struct replica {
    struct qb_revoked *revoked;
    struct qb_holds *holds;
    struct qb_catalogue *catalogue;
    struct qb_control *control;
    atomic_int ended[QB_CLOSE_COUNT];
    _Atomic uint64_t ended_login; /* the last ones */
    _Atomic qb_id ended_user;
};

static struct qb_database *database;
static struct qb_store *store;
static struct qb_store_link *link_here;
static struct replica a;
static struct replica b;

static void end_sessions(void *context, uint64_t login, qb_id user, enum qb_close reason)
{
    struct replica *replica = context;

    atomic_store(&replica->ended_login, login);
    atomic_store(&replica->ended_user, user);
    atomic_fetch_add(&replica->ended[reason], 1);
}

static void replica_begin(struct replica *replica, const char *address)
{
    struct qb_error error = {""};

    (void)memset(replica, 0, sizeof *replica);
    replica->revoked = qb_revoked_new(100);
    replica->holds = qb_holds_new(&(struct qb_holds_options){50, 60 * QB_SECOND_US, 10});
    replica->catalogue = qb_catalogue_new(&(struct qb_catalogue_options){10, 300 * QB_SECOND_US});
    const struct qb_control_options options = {
        .address = address,
        .name = "control",
        .store = store,
        .revoked = replica->revoked,
        .holds = replica->holds,
        .catalogue = replica->catalogue,
        .end_sessions = end_sessions,
        .context = replica,
        .read_us = READ_US,
    };
    replica->control = qb_control_new(&options, &error);
    qb_must(replica->control != NULL, error.text);
}

static void replica_end(struct replica *replica)
{
    qb_control_free(&replica->control);
    qb_revoked_free(&replica->revoked);
    qb_holds_free(&replica->holds);
    qb_catalogue_free(&replica->catalogue);
}

static void add_user(qb_id id, const char *email)
{
    struct qb_error error = {""};
    struct qb_user user = {.id = id, .created_us = 1};

    (void)snprintf(user.email, sizeof user.email, "%s", email);
    (void)snprintf(user.name, sizeof user.name, "%s", email);
    (void)snprintf(user.verifier, sizeof user.verifier, "none");
    qb_must(store->ops->user_add(link_here, &user, &error) == QB_STORE_OK, error.text);
}

static void store_begin(void)
{
    struct qb_error error = {""};

    database = qb_test_database_new();
    store = qb_store_sqlite_new(database);
    link_here = store->ops->open(store, &error);
    qb_must(link_here != NULL, error.text);
    add_user(ANN, "ann@example.com");
    add_user(BOB, "bob@example.com");
}

static void store_end(void)
{
    store->ops->close(&link_here);
    store->ops->free(store);
    qb_database_free(&database);
    qb_test_folder_remove();
}

/* Turns nothing: the replicas have threads of their own. */
#define UNTIL(condition, ms)                                                                       \
    for (int64_t until_us = qb_clock_mono_us() + (ms)*QB_MS_US;                                    \
         !(condition) && qb_clock_mono_us() < until_us;)                                           \
    qb_clock_sleep_us(1000)

static const char *redis(void)
{
    static bool is_started;

    if (!is_started) qb_stack_start("redis-single");
    is_started = true;
    return qb_stack_value("REDIS_URL");
}

/* Both hear each other. */
static void begin(void)
{
    store_begin();
    replica_begin(&a, redis());
    replica_begin(&b, redis());
    /* A limit that is in no store is gone at each read of all, and comes only by a message. */
    for (int i = 0; i < 500 && qb_holds_limit(b.holds, 99, "EUR") != 5; i++) {
        qb_control_limit(a.control, 99, "EUR", 5);
        qb_clock_sleep_us(10000);
    }
    for (int i = 0; i < 500 && qb_holds_limit(a.holds, 98, "EUR") != 5; i++) {
        qb_control_limit(b.control, 98, "EUR", 5);
        qb_clock_sleep_us(10000);
    }
}

static void end(void)
{
    replica_end(&a);
    replica_end(&b);
    store_end();
}

static struct qb_revocation revocation_of(uint64_t login, qb_id user)
{
    return qb_revocation_now(login, user);
}

static void store_revocation(const struct qb_revocation *revocation)
{
    struct qb_error error = {""};

    qb_must(store->ops->revoke(link_here, revocation, &error) == QB_STORE_OK, error.text);
}

static void store_ban(qb_id id, bool is_banned)
{
    struct qb_error error = {""};
    struct qb_user user;

    qb_must(store->ops->user_by_id(link_here, id, &user, &error) == QB_STORE_OK, error.text);
    user.is_banned = is_banned;
    qb_must(store->ops->user_update(link_here, &user, &error) == QB_STORE_OK, error.text);
}

static void store_limit(qb_id user, int64_t amount)
{
    struct qb_error error = {""};

    qb_must(store->ops->limit_set(link_here, user, "USD", amount, &error) == QB_STORE_OK,
            error.text);
}

static bool is_refused(const struct replica *replica, uint64_t login, qb_id user)
{
    const struct qb_identity identity = {
        .user = user, .login = login, .checked_us = qb_clock_wall_us() - 60 * QB_SECOND_US};

    return qb_revoked_has(replica->revoked, &identity);
}

QB_TEST(a_logout_holds_everywhere_within_a_second)
{
    begin();
    const struct qb_revocation out = revocation_of(7, ANN);
    store_revocation(&out);
    qb_control_revoke(a.control, &out);
    QB_EXPECT(is_refused(&a, 7, ANN), "here at once");
    UNTIL(atomic_load(&b.ended[QB_CLOSE_LOGGED_OUT]) > 0, 1000);
    QB_EXPECT(is_refused(&b, 7, ANN), "there soon");
    QB_EXPECT(!is_refused(&b, 8, ANN), "another login is as it was");
    QB_EXPECT_EQ(atomic_load(&b.ended[QB_CLOSE_LOGGED_OUT]), 1, "its sessions end");
    QB_EXPECT_EQ(atomic_load(&b.ended_login), 7, "these");
    QB_EXPECT_EQ(atomic_load(&b.ended_user), 0, "and no others");
    const struct qb_revocation roles = revocation_of(0, BOB);
    store_revocation(&roles);
    qb_control_revoke(b.control, &roles);
    UNTIL(atomic_load(&a.ended[QB_CLOSE_ROLES_CHANGED]) > 0, 1000);
    QB_EXPECT(is_refused(&a, 9, BOB), "new roles, the other way");
    QB_EXPECT_EQ(atomic_load(&a.ended_user), BOB, "whoever has them");
    qb_clock_sleep_us(3 * READ_US); /* the store is read */
    QB_EXPECT_EQ(atomic_load(&a.ended[QB_CLOSE_LOGGED_OUT]), 0, "the caller ended its own");
    QB_EXPECT_EQ(atomic_load(&b.ended[QB_CLOSE_LOGGED_OUT]), 1, "once");
    QB_EXPECT_EQ(atomic_load(&a.ended[QB_CLOSE_ROLES_CHANGED]), 1, "once");
    end();
}

QB_TEST(bans_and_limits_hold_everywhere_within_a_second)
{
    begin();
    store_ban(ANN, true);
    qb_control_ban(a.control, ANN, true);
    store_limit(ANN, 500);
    qb_control_limit(a.control, ANN, "USD", 500);
    QB_EXPECT(qb_holds_is_banned(a.holds, ANN), "here at once");
    QB_EXPECT_EQ(qb_holds_limit(a.holds, ANN, "USD"), 500, "here at once");
    UNTIL(qb_holds_limit(b.holds, ANN, "USD") == 500, 1000);
    QB_EXPECT(qb_holds_is_banned(b.holds, ANN), "there soon");
    QB_EXPECT_EQ(qb_holds_limit(b.holds, ANN, "USD"), 500, "as the limit");
    QB_EXPECT_EQ(atomic_load(&b.ended[QB_CLOSE_BANNED]), 1, "its sessions end");
    store_ban(ANN, false);
    qb_control_ban(b.control, ANN, false);
    store_limit(ANN, -1);
    qb_control_limit(b.control, ANN, "USD", -1);
    UNTIL(qb_holds_limit(a.holds, ANN, "USD") == -1, 1000);
    QB_EXPECT(!qb_holds_is_banned(a.holds, ANN), "and back");
    QB_EXPECT_EQ(qb_holds_limit(a.holds, ANN, "USD"), -1, "none");
    end();
}

enum { BIKE = 5 };

static struct qb_frame *describe(void *context, qb_id auction, uint64_t *version)
{
    (void)context;
    *version = auction; /* as good as any */
    return qb_frame_new("a bike", 6);
}

/* The replica tells it from its cache from now on. */
static void describe_at(struct replica *replica)
{
    int64_t age_us = 0;
    struct qb_frame *frame = qb_catalogue_get(replica->catalogue, BIKE, 0, &age_us, describe, NULL);
    qb_frame_free(&frame);
}

static bool is_kept(struct replica *replica)
{
    int64_t age_us = 0;
    struct qb_frame *frame = qb_catalogue_find(replica->catalogue, BIKE, 0, &age_us);
    bool is_there = frame != NULL;

    qb_frame_free(&frame);
    return is_there;
}

QB_TEST(what_the_catalogue_told_is_told_no_more_anywhere)
{
    begin();
    describe_at(&a);
    describe_at(&b);
    QB_EXPECT(is_kept(&a) && is_kept(&b), "in both");
    qb_control_described(a.control, BIKE, BIKE + 1);
    QB_EXPECT(!is_kept(&a), "here at once");
    UNTIL(!is_kept(&b), 5000);
    QB_EXPECT(!is_kept(&b), "there soon");
    describe_at(&b);
    QB_EXPECT(!is_kept(&b), "and not from a database that is behind");
    end();
}

QB_TEST(what_the_catalogue_told_is_told_no_more_when_messages_may_be_lost)
{
    begin();
    describe_at(&b);
    qb_stack_kill("redis-0");
    qb_control_described(a.control, BIKE, BIKE + 1);
    qb_stack_revive("redis-0");
    UNTIL(!is_kept(&b), 10000);
    QB_EXPECT(!is_kept(&b), "from the moment on that it hears again");
    end();
}

QB_TEST(what_no_message_brings_is_found_in_the_store)
{
    begin();
    const struct qb_revocation out = revocation_of(7, ANN);
    store_revocation(&out);
    store_ban(BOB, true);
    UNTIL(is_refused(&a, 7, ANN) && is_refused(&b, 7, ANN) && qb_holds_is_banned(a.holds, BOB) &&
              qb_holds_is_banned(b.holds, BOB),
          5000);
    QB_EXPECT(is_refused(&a, 7, ANN) && is_refused(&b, 7, ANN), "logged out");
    QB_EXPECT(qb_holds_is_banned(a.holds, BOB) && qb_holds_is_banned(b.holds, BOB), "banned");
    QB_EXPECT_EQ(atomic_load(&a.ended[QB_CLOSE_LOGGED_OUT]), 1, "its sessions end");
    QB_EXPECT_EQ(atomic_load(&a.ended[QB_CLOSE_BANNED]), 1, "its sessions end");
    store_ban(BOB, false);
    UNTIL(!qb_holds_is_banned(a.holds, BOB), 5000);
    QB_EXPECT(!qb_holds_is_banned(a.holds, BOB), "and no longer");
    end();
}

QB_TEST(without_redis_the_store_is_enough)
{
    begin();
    qb_stack_kill("redis-0");
    qb_clock_sleep_us(100000);
    store_ban(ANN, true);
    qb_control_ban(a.control, ANN, true);
    UNTIL(qb_holds_is_banned(b.holds, ANN), 5000);
    QB_EXPECT(qb_holds_is_banned(b.holds, ANN), "found");
    store_limit(BOB, 700);
    qb_stack_revive("redis-0");
    UNTIL(qb_holds_limit(b.holds, BOB, "USD") == 700, 5000);
    QB_EXPECT_EQ(qb_holds_limit(b.holds, BOB, "USD"), 700, "all is read when it is back");
    store_ban(ANN, false);
    for (int i = 0; i < 300 && qb_holds_is_banned(b.holds, ANN); i++) {
        qb_control_ban(a.control, ANN, false); /* a's link may be back later than b's */
        qb_clock_sleep_us(10000);
    }
    QB_EXPECT(!qb_holds_is_banned(b.holds, ANN), "and messages come");
    end();
}

static const struct qb_store_ops *real_ops;
static _Atomic(struct qb_control *) meanwhile;
static atomic_bool is_said;
static atomic_int kept; /* reads that left what was said while they ran as it was */
static atomic_int lost;

/* The bans as they are; then, before the reader has them, somebody is banned. The next read begins
 * when that one has been compared, and looks what became of it. */
static enum qb_store_result banned_slowly(struct qb_store_link *link,
                                          bool (*each)(void *context, qb_id user), void *context,
                                          struct qb_error *error)
{
    if (atomic_exchange(&is_said, false))
        atomic_fetch_add(qb_holds_is_banned(a.holds, ANN) ? &kept : &lost, 1);
    enum qb_store_result result = real_ops->banned(link, each, context, error);
    struct qb_control *control = atomic_exchange(&meanwhile, NULL);

    if (control == NULL) return result;
    qb_control_ban(control, ANN, true);
    atomic_store(&is_said, true);
    return result;
}

QB_TEST(a_read_that_began_before_takes_nothing_back)
{
    struct qb_store_ops ops;

    store_begin();
    real_ops = store->ops;
    ops = *real_ops;
    ops.banned = banned_slowly;
    store->ops = &ops;
    replica_begin(&a, redis());
    store_ban(BOB, true);
    for (int round = 1; round <= 3; round++) {
        qb_holds_ban(a.holds, ANN, false);
        atomic_store(&meanwhile, a.control);
        UNTIL(atomic_load(&kept) + atomic_load(&lost) == round, 5000);
        QB_EXPECT_EQ(atomic_load(&kept), round, "said after the read began");
    }
    UNTIL(!qb_holds_is_banned(a.holds, ANN), 5000);
    QB_EXPECT(!qb_holds_is_banned(a.holds, ANN), "the next read knows: the store never had it");
    replica_end(&a);
    store->ops = real_ops;
    store_end();
}

QB_TEST(alone_it_only_does_what_it_is_told)
{
    store_begin();
    replica_begin(&a, NULL);
    const struct qb_revocation out = revocation_of(7, ANN);
    qb_control_revoke(a.control, &out);
    qb_control_ban(a.control, ANN, true);
    qb_control_limit(a.control, ANN, "USD", 5);
    QB_EXPECT(is_refused(&a, 7, ANN), "logged out");
    QB_EXPECT(qb_holds_is_banned(a.holds, ANN), "banned");
    QB_EXPECT_EQ(qb_holds_limit(a.holds, ANN, "USD"), 5, "limited");
    replica_end(&a);
    store_end();
    qb_stack_stop();
}
