/*
 * How long a journal waits does not depend on the wall clock, which somebody may set meanwhile:
 * here it is an hour behind what the kernel waits by.
 */
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "storage/journal_rabbit.h"
#include "storage/journal_sqlite.h"
#include "tests/kit/archive.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

#define WAIT_US (300 * QB_MS_US)

/* In place of the C library's, for this program. */
int clock_gettime(clockid_t id, struct timespec *time)
{
    long failed = syscall(SYS_clock_gettime, id, time);

    if (failed == 0 && id == CLOCK_REALTIME) time->tv_sec -= 3600;
    return (int)failed;
}

static bool take_none(void *context, const struct qb_journal_item *item)
{
    (void)context;
    (void)item;
    return true;
}

QB_TEST(what_cannot_be_confirmed_is_waited_for_as_long_as_asked)
{
    static const uint8_t bytes[] = {1};
    const struct qb_journal_rabbit_options options = {
        .urls = "amqp://127.0.0.1:1", .prefix = "qb", .shards = 1, .waiting_bytes_max = 1000};
    const struct qb_journal_item item = {
        .auction = 7, .seq = 1, .epoch = 1, .bytes = bytes, .length = sizeof bytes};
    struct qb_error error = {""};
    struct qb_mailbox *mailbox = qb_mailbox_new(10, qb_test_no_wake, NULL);
    struct qb_journal *journal = qb_journal_rabbit_new(&options, &error);

    qb_must(journal != NULL, error.text);
    struct qb_journal_writer *writer = qb_journal_writer(journal, mailbox, qb_test_not_told, NULL);
    QB_EXPECT(qb_journal_append(journal, writer, &item, 1), "there is room");
    int64_t begun_us = qb_clock_mono_us();
    QB_EXPECT(!qb_journal_flush(journal, WAIT_US), "there is no broker");
    QB_EXPECT(qb_clock_mono_us() - begun_us >= WAIT_US, "not given up at once");
    qb_journal_rabbit_set_epoch(journal, 2); /* void, so that the end need not wait for it */
    qb_journal_free(&journal);
    qb_mailbox_free(&mailbox);
}

QB_TEST(what_is_not_there_is_waited_for_as_long_as_asked)
{
    struct qb_database *database = qb_test_database_new();
    const struct qb_journal_sqlite_options options = {database, 1000};
    struct qb_error error = {""};
    struct qb_journal *journal = qb_journal_sqlite_new(&options, &error);

    qb_must(journal != NULL, error.text);
    int64_t begun_us = qb_clock_mono_us();
    QB_EXPECT(qb_journal_take(journal, 1, WAIT_US, take_none, NULL, &error), error.text);
    QB_EXPECT(qb_clock_mono_us() - begun_us >= WAIT_US, "not given up at once");
    qb_journal_free(&journal);
    qb_database_free(&database);
}
