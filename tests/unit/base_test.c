/*
 * The other small tools: JSON from outside, the map, mailboxes and workers, frames, metrics, time,
 * the assertion.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/frame.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/work.h"
#include "tests/kit/test.h"

QB_TEST(a_failed_assertion_ends_the_process_in_every_build)
{
    QB_EXPECT_DEATH(QB_ASSERT(1 + 1 == 3), "dies");
}

QB_TEST(an_error_is_wrapped_from_the_inside_out)
{
    struct qb_error error = {""};

    QB_EXPECT(!qb_error_set(&error, "%d is above %d", 7, 6), "is false");
    QB_EXPECT(!qb_error_wrap(&error, "PORT"), "is false");
    QB_EXPECT_TEXT(error.text, "PORT: 7 is above 6", "text");
    QB_EXPECT(!qb_error_set(NULL, "nobody listens"), "null is allowed");
}

QB_TEST(json_from_outside_is_read_strictly)
{
    static const struct {
        const char *says;
        const char *text;
        bool is_good;
    } rows[] = {
        {"an object", "{\"a\":1}", true},
        {"duplicate members", "{\"a\":1,\"a\":2}", false},
        {"trailing bytes", "{} x", false},
        {"not UTF-8", "\"\xff\"", false},
        {"too deep", "[[[[[1]]]]]", false},
        {"as deep as allowed", "[[[[1]]]]", true},
        {"braces in a string are no depth", "\"[[[[[[[[\"", true},
        {"too long", "\"1234567890123456789012345678901234567890123456789012345678901234\"", false},
        {"NaN", "NaN", false},
        {"too many members", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", false},
    };
    const struct qb_json_limits limits = {.bytes_max = 64, .depth_max = 4, .members_max = 8};

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        struct qb_error error = {""};
        struct qb_json *json = qb_json_parse(rows[i].text, strlen(rows[i].text), &limits, &error);
        QB_EXPECT_EQ(json != NULL, rows[i].is_good, rows[i].says);
        QB_EXPECT_EQ(error.text[0] == '\0', rows[i].is_good, rows[i].says);
        qb_json_free(&json);
    }
}

QB_TEST(only_integers_are_money)
{
    const struct qb_json_limits limits = {.bytes_max = 256, .depth_max = 4, .members_max = 20};
    static const char text[] = "{\"a\":5,\"b\":5.0,\"c\":\"5\",\"d\":5e0,\"e\":true,\"f\":[7]}";
    struct qb_error error = {""};
    struct qb_json *json = qb_json_parse(text, sizeof text - 1, &limits, &error);
    int64_t value = 0;
    bool is_true = false;

    QB_EXPECT(json != NULL, error.text);
    QB_EXPECT(qb_json_integer(qb_json_member(json, "a"), &value) && value == 5, "an integer");
    for (const char *name = "bcdex"; *name != '\0'; name++) {
        const char member[2] = {*name, '\0'};
        QB_EXPECT(!qb_json_integer(qb_json_member(json, member), &value), member);
    }
    QB_EXPECT(qb_json_bool(qb_json_member(json, "e"), &is_true) && is_true, "a bool");
    QB_EXPECT_EQ(qb_json_count(qb_json_member(json, "f")), 1, "elements");
    const struct qb_json *third = NULL;
    QB_EXPECT_TEXT(qb_json_member_at(json, 2, &third), "c", "in order of the text");
    qb_json_free(&json);
}

QB_TEST(the_map_agrees_with_a_plain_array)
{
    struct qb_map map;
    struct qb_random random;
    void *naive[512] = {0};

    qb_map_init(&map, sizeof(uint64_t));
    qb_random_seed(&random, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t key = qb_random_below(&random, 512);
        void *value = &naive[qb_random_below(&random, 512)];
        if (qb_random_below(&random, 2) == 0) {
            QB_EXPECT(qb_map_set(&map, &key, value) == naive[key], "what was there before");
            naive[key] = value;
        } else {
            QB_EXPECT(qb_map_remove(&map, &key) == naive[key], "what is removed");
            naive[key] = NULL;
        }
        uint64_t other = qb_random_below(&random, 512);
        QB_EXPECT(qb_map_get(&map, &other) == naive[other], "any other");
    }
    size_t cursor = 0;
    size_t count = 0;
    const void *key = NULL;
    while (qb_map_next(&map, &cursor, &key) != NULL) count++;
    QB_EXPECT_EQ(count, map.count, "all are walked");
    qb_map_fini(&map);
}

static void no_wake(void *context)
{
    int *wakes = context;
    if (wakes != NULL) (*wakes)++;
}

static void note(void *context, void *message)
{
    char *order = context;
    char *letter = message;
    order[strlen(order)] = *letter;
}

QB_TEST(a_mailbox_keeps_order_and_its_limit)
{
    int wakes = 0;
    char order[16] = "";
    char letters[] = "abcd";
    struct qb_mailbox *mailbox = qb_mailbox_new(2, no_wake, &wakes);

    QB_EXPECT(qb_mailbox_post(mailbox, note, order, &letters[0]), "room");
    QB_EXPECT(qb_mailbox_post(mailbox, note, order, &letters[1]), "room");
    QB_EXPECT(!qb_mailbox_post(mailbox, note, order, &letters[2]), "full");
    qb_mailbox_post_answer(mailbox, note, order, &letters[3]);
    QB_EXPECT_EQ(wakes, 1, "woken once");
    QB_EXPECT_EQ(qb_mailbox_drain(mailbox), 3, "calls");
    QB_EXPECT_TEXT(order, "abd", "in order");
    QB_EXPECT(qb_mailbox_post(mailbox, note, order, &letters[2]), "room again");
    QB_EXPECT_EQ(wakes, 2, "woken again");
    (void)qb_mailbox_drain(mailbox);
    qb_mailbox_free(&mailbox);
}

struct job {
    int ran;
    int done;
    pthread_mutex_t *gate;
};

static void run(void *job, void *worker)
{
    struct job *mine = job;
    int *workers = worker;

    (void)pthread_mutex_lock(mine->gate);
    mine->ran++;
    (*workers)++;
    (void)pthread_mutex_unlock(mine->gate);
}

static void done(void *job)
{
    struct job *mine = job;
    mine->done++;
}

static void *begin(void *context)
{
    return context;
}

QB_TEST(workers_answer_through_the_mailbox_and_refuse_when_full)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    int uses = 0;
    struct job jobs[8] = {0};
    size_t taken = 0;
    struct qb_mailbox *mailbox = qb_mailbox_new(1, no_wake, NULL);
    const struct qb_work_options options = {.name = "test",
                                            .duration = QB_METRIC_store_query_us,
                                            .wait = QB_METRIC_store_wait_us,
                                            .threads = 2,
                                            .jobs_max = 3,
                                            .worker_begin = begin,
                                            .context = &uses};

    (void)pthread_mutex_lock(&gate); /* two jobs run into it, three wait: the rest is refused */
    struct qb_work_pool *pool = qb_work_pool_new(&options);
    for (size_t i = 0; i < 8; i++) {
        jobs[i].gate = &gate;
        if (qb_work_submit(pool, mailbox, run, done, &jobs[i])) taken++;
    }
    QB_EXPECT(taken >= 3 && taken <= 5, "a bounded queue");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_refused_total, "test"), (int64_t)(8 - taken),
                 "refusals are counted");
    (void)pthread_mutex_unlock(&gate);
    qb_work_pool_free(&pool); /* finishes what waits */
    (void)qb_mailbox_drain(mailbox);
    size_t answered = 0;
    for (size_t i = 0; i < 8; i++) {
        QB_EXPECT_EQ(jobs[i].ran, jobs[i].done, "each that ran is answered");
        answered += (size_t)jobs[i].done;
    }
    QB_EXPECT_EQ(answered, taken, "each that was taken");
    QB_EXPECT_EQ(uses, taken, "with its worker's state");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_store_query_us, NULL), (int64_t)taken, "each is timed");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_queue_jobs, "test"), 0, "nothing waits");
    qb_mailbox_free(&mailbox);
}

/* The state of one worker, and who counts them. */
struct crowd {
    atomic_int begun;
    atomic_int ended;
    atomic_bool may_go_on;
    atomic_int ran;
    atomic_int without;
};

static void *join_crowd(void *context)
{
    struct crowd *crowd = context;
    crowd->begun++;
    return crowd;
}

static void leave_crowd(void *context, void *worker)
{
    struct crowd *crowd = context;

    QB_EXPECT(worker == context, "its own state");
    crowd->ended++;
}

static void run_in_crowd(void *job, void *worker)
{
    struct crowd *crowd = job;

    if (worker == NULL) {
        crowd->without++;
        return;
    }
    crowd->ran++;
    while (!crowd->may_go_on) qb_clock_sleep_us(1000);
}

static void done_in_crowd(void *job)
{
    (void)job;
}

/* Until it is so, for at most 20 s. */
#define AWAIT(condition)                                                                           \
    for (int tries = 0; tries < 20000 && !(condition); tries++) qb_clock_sleep_us(1000)

QB_TEST(workers_come_when_all_are_busy_and_go_when_they_are_not_needed)
{
    struct crowd crowd = {0};
    struct qb_mailbox *mailbox = qb_mailbox_new(100, no_wake, NULL);
    const struct qb_work_options options = {.name = "crowd",
                                            .duration = QB_METRIC_store_query_us,
                                            .wait = QB_METRIC_store_wait_us,
                                            .threads = 2,
                                            .threads_max = 4,
                                            .idle_us = 50 * QB_MS_US,
                                            .jobs_max = 10,
                                            .worker_begin = join_crowd,
                                            .worker_end = leave_crowd,
                                            .context = &crowd};
    struct qb_work_pool *pool = qb_work_pool_new(&options);

    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 6; i++) {
            QB_EXPECT(qb_work_submit(pool, mailbox, run_in_crowd, done_in_crowd, &crowd), "taken");
        }
        AWAIT(crowd.ran == 6 * round - 2);
        QB_EXPECT_EQ(crowd.ran, 6 * round - 2, "four at once, and no fifth");
        QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_threads, "crowd"), 4, "as many as may be");
        QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_busy_threads, "crowd"), 4, "all busy");
        crowd.may_go_on = true;
        AWAIT(crowd.ended == 2 * round);
        QB_EXPECT_EQ(crowd.ended, 2 * round, "those beyond two are gone");
        QB_EXPECT_EQ(crowd.ran, 6 * round, "all was done before");
        QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_threads, "crowd"), 2, "two stay");
        crowd.may_go_on = false;
    }
    crowd.may_go_on = true;
    qb_work_pool_free(&pool);
    QB_EXPECT_EQ(crowd.begun, crowd.ended, "each ends what it began");
    (void)qb_mailbox_drain(mailbox);
    qb_mailbox_free(&mailbox);
}

QB_TEST(a_job_that_waits_too_long_is_told_so_when_all_workers_hang)
{
    struct crowd crowd = {0};
    struct qb_mailbox *mailbox = qb_mailbox_new(100, no_wake, NULL);
    const struct qb_work_options options = {.name = "hung",
                                            .duration = QB_METRIC_store_query_us,
                                            .wait = QB_METRIC_store_wait_us,
                                            .threads = 1,
                                            .wait_us = 20 * QB_MS_US,
                                            .jobs_max = 10,
                                            .worker_begin = join_crowd,
                                            .worker_end = leave_crowd,
                                            .context = &crowd};
    struct qb_work_pool *pool = qb_work_pool_new(&options);

    QB_EXPECT(qb_work_submit(pool, mailbox, run_in_crowd, done_in_crowd, &crowd), "taken");
    AWAIT(crowd.ran == 1);
    QB_EXPECT(qb_work_submit(pool, mailbox, run_in_crowd, done_in_crowd, &crowd), "waits");
    qb_clock_sleep_us(25 * QB_MS_US);
    qb_work_expire(pool);
    QB_EXPECT_EQ(crowd.without, 1, "without a worker");
    QB_EXPECT_EQ(qb_mailbox_drain(mailbox), 1, "and answered");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_work_expired_total, "hung"), 1, "counted");
    crowd.may_go_on = true;
    qb_work_pool_free(&pool);
    QB_EXPECT_EQ(crowd.ran, 1, "the other one ran");
    (void)qb_mailbox_drain(mailbox);
    qb_mailbox_free(&mailbox);
}

QB_TEST(a_frame_lives_as_long_as_somebody_holds_it)
{
    struct qb_frame *frame = qb_frame_new("abc", 3);
    struct qb_frame *other = qb_frame_hold(frame);

    qb_frame_free(&frame);
    QB_EXPECT(frame == NULL, "nulled");
    QB_EXPECT_EQ(memcmp(other->bytes, "abc", 3), 0, "still there");
    qb_frame_free(&other);
    qb_frame_free(&other);
}

QB_TEST(a_histogram_of_seconds_is_told_us_and_shows_seconds)
{
    struct qb_text text = {0};

    qb_metric_observe(QB_METRIC_recovery_seconds, 4950000);
    qb_metric_observe(QB_METRIC_recovery_seconds, 7200000000);
    qb_metrics_text(&text);
    static const char *const lines[] = {
        "# TYPE quickbid_recovery_seconds histogram\n",
        "quickbid_recovery_seconds_bucket{le=\"0.1\"} 0\n",
        "quickbid_recovery_seconds_bucket{le=\"2.5\"} 0\n",
        "quickbid_recovery_seconds_bucket{le=\"5\"} 1\n",
        "quickbid_recovery_seconds_bucket{le=\"1800\"} 1\n",
        "quickbid_recovery_seconds_bucket{le=\"+Inf\"} 2\n",
        "quickbid_recovery_seconds_sum 7204.95\n",
        "quickbid_recovery_seconds_count 2\n",
    };
    for (size_t i = 0; i < QB_COUNT(lines); i++) {
        QB_EXPECT(strstr(text.bytes, lines[i]) != NULL, lines[i]);
    }
    qb_text_fini(&text);
}

QB_TEST(metrics_are_written_as_prometheus_reads_them)
{
    struct qb_text text = {0};

    qb_metric_add(QB_METRIC_verdicts_total, "too_low", 2);
    qb_metric_add(QB_METRIC_verdicts_total, "leading", 1);
    qb_metric_observe(QB_METRIC_journal_commit_us, 7);
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_verdicts_total, "too_low"), 2, "by label");
    QB_EXPECT_EQ(qb_metric_value(QB_METRIC_verdicts_total, NULL), 3, "over labels");
    qb_metrics_text(&text);
    QB_EXPECT(strstr(text.bytes, "quickbid_verdicts_total{code=\"too_low\"} 2\n") != NULL, "label");
    QB_EXPECT(strstr(text.bytes, "quickbid_journal_commit_us_bucket{le=\"10\"} 1\n") != NULL,
              "bucket");
    QB_EXPECT(strstr(text.bytes, "quickbid_journal_commit_us_bucket{le=\"+Inf\"} 1\n") != NULL,
              "all");
    QB_EXPECT(strstr(text.bytes, "quickbid_journal_commit_us_sum 7\n") != NULL, "sum");
    qb_text_fini(&text);
}

QB_TEST(times_are_written_in_both_forms)
{
    char text[QB_TIME_TEXT_BYTES];

    qb_clock_text(INT64_C(1769860800123456), text);
    QB_EXPECT_TEXT(text, "2026-01-31T12:00:00.123Z", "for logs");
    qb_clock_http_date(INT64_C(1769860800123456), text);
    QB_EXPECT_TEXT(text, "Sat, 31 Jan 2026 12:00:00 GMT", "for HTTP");
    QB_EXPECT_EQ(qb_log_level_parse("warning"), QB_LOG_WARNING, "a level");
    QB_EXPECT_EQ(qb_log_level_parse("loud"), -1, "no level");
}

QB_TEST(the_even_clock_outlives_steps_of_the_wall_clock)
{
    struct qb_even_clock clock = {0};
    const qb_time_us noon_us = 1000 * QB_SECOND_US;

    QB_EXPECT_EQ(qb_even_clock_read(&clock, 5, noon_us), noon_us, "set by the wall clock");
    QB_EXPECT_EQ(qb_even_clock_read(&clock, 7, 1), noon_us + 2, "run by the time that passes");
    QB_EXPECT_EQ(qb_even_clock_steer(&clock, 5, noon_us + 300), 300, "a little ahead");
    QB_EXPECT_EQ(qb_even_clock_read(&clock, 5, 0), noon_us + 300, "followed at once");
    int64_t ahead_us = qb_even_clock_steer(&clock, 5, noon_us + 3600 * QB_SECOND_US);
    QB_EXPECT_EQ(ahead_us, 3600 * QB_SECOND_US - 300, "a step forward");
    QB_EXPECT_EQ(qb_even_clock_read(&clock, 5, 0), noon_us + 300 + QB_EVEN_STEER_US, "not jumped");
    (void)qb_even_clock_steer(&clock, 5, noon_us - 3600 * QB_SECOND_US);
    QB_EXPECT_EQ(qb_even_clock_read(&clock, 5, 0), noon_us + 300, "nor a step back");
    QB_EXPECT_EQ(qb_even_clock_read(&clock, 5 + QB_SECOND_US, 0), noon_us + 300 + QB_SECOND_US,
                 "and it does not stand still");
    qb_time_us now_us = qb_clock_even_us();
    QB_EXPECT(now_us - qb_clock_wall_us() < QB_SECOND_US, "the process's own");
    QB_EXPECT(qb_clock_even_steer() < QB_SECOND_US, "begins as the wall clock");
}
