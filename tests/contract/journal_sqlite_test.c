/*
 * The journal in the embedded database, held to the contract of every journal; settling together
 * with the archiver's batch; a full disk; and the end of the process at any moment.
 */
#include <signal.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "storage/journal_sqlite.h"
#include "tests/contract/expect.h"
#include "tests/contract/journal_contract.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

#define LOT       7
#define MINUTE_US INT64_C(60000000)

static struct qb_database *database;
static struct qb_sql_link *staller;

static struct qb_journal *open_journal(size_t waiting_bytes_max)
{
    const struct qb_journal_sqlite_options options = {database, waiting_bytes_max};
    struct qb_error error = {""};
    struct qb_journal *journal = qb_journal_sqlite_new(&options, &error);

    qb_must(journal != NULL, error.text);
    return journal;
}

static struct qb_journal *make(size_t waiting_bytes_max)
{
    database = qb_test_database_new();
    return open_journal(waiting_bytes_max);
}

static struct qb_journal *again(void)
{
    qb_database_free(&database);
    database = qb_test_database_again();
    return open_journal(1000000);
}

/* Another writer of the process has its turn. */
static void stall(bool is_stalled)
{
    struct qb_error error = {""};

    if (is_stalled) {
        staller = qb_sqlite_open(database, &error);
        qb_must(staller != NULL && qb_sql_begin(staller, &error), error.text);
        return;
    }
    qb_must(qb_sql_finish(staller, false, &error), error.text);
    qb_sql_close(&staller);
}

static void end(struct qb_journal **journal)
{
    qb_journal_free(journal);
    qb_database_free(&database);
    qb_test_folder_remove();
}

QB_TEST(the_journal_on_sqlite_keeps_the_contract)
{
    const struct journal_subject subject = {"journal_sqlite", make, again, stall, end};

    journal_contract(&subject);
    QB_EXPECT_EQ(expect_failures(), 0, "the contract");
}

static void no_wake(void *context)
{
    (void)context;
}

static uint64_t told_seq;
static int told_count;

static void note(void *context, qb_id auction, uint64_t seq)
{
    (void)context;
    (void)auction;
    told_seq = seq;
    told_count++;
}

static bool append(struct qb_journal *journal, struct qb_journal_writer *writer, uint64_t seq,
                   size_t length)
{
    static const uint8_t bytes[2000];
    const struct qb_journal_item item = {
        .auction = LOT, .seq = seq, .epoch = 1, .bytes = bytes, .length = length};

    return qb_journal_append(journal, writer, &item, 1);
}

struct walk {
    uint64_t count;
    uint64_t first;
    uint64_t last_position;
    bool is_dense;
};

static bool walk(void *context, const struct qb_journal_item *item)
{
    struct walk *seen = context;

    if (seen->count == 0) seen->first = item->seq;
    if (item->seq != seen->first + seen->count) seen->is_dense = false;
    seen->count++;
    seen->last_position = item->position;
    return true;
}

static struct walk take(struct qb_journal *journal)
{
    struct walk seen = {.is_dense = true};
    struct qb_error error = {""};

    QB_EXPECT(qb_journal_take(journal, 1000000, 0, walk, &seen, &error), error.text);
    return seen;
}

QB_TEST(settling_belongs_to_the_transaction_of_the_batch)
{
    struct qb_journal *journal = make(1000000);
    struct qb_mailbox *mailbox = qb_mailbox_new(10, no_wake, NULL);
    struct qb_journal_writer *writer = qb_journal_writer(journal, mailbox, note, NULL);
    struct qb_error error = {""};
    struct qb_sql_link *link = qb_sqlite_open(database, &error);

    qb_journal_sqlite_share(journal, link);
    for (uint64_t seq = 1; seq <= 5; seq++) QB_EXPECT(append(journal, writer, seq, 10), "taken");
    QB_EXPECT(qb_journal_flush(journal, MINUTE_US), "durable");
    struct walk seen = take(journal);
    QB_EXPECT_EQ(seen.count, 5, "all there");
    QB_EXPECT(qb_sql_begin(link, &error), error.text);
    QB_EXPECT(qb_journal_settle(journal, seen.last_position, &error), error.text);
    QB_EXPECT(qb_sql_finish(link, false, &error), "the batch is rolled back");
    QB_EXPECT_EQ(qb_journal_backlog(journal), 5, "and nothing is settled");
    QB_EXPECT_EQ(take(journal).count, 5, "nothing is gone");
    QB_EXPECT_EQ(qb_journal_backlog(journal), 5, "nor after it was read again");
    QB_EXPECT(qb_sql_begin(link, &error), error.text);
    QB_EXPECT(qb_journal_settle(journal, seen.last_position, &error), error.text);
    QB_EXPECT(qb_sql_finish(link, true, &error), error.text);
    QB_EXPECT_EQ(take(journal).count, 0, "settled with the batch");
    QB_EXPECT_EQ(qb_journal_backlog(journal), 0, "nothing waits");
    (void)qb_mailbox_drain(mailbox);
    qb_journal_free(&journal);
    qb_sql_close(&link);
    qb_mailbox_free(&mailbox);
    end(&journal);
}

/* As a full disk does: no file of this process can grow beyond `bytes`. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    (void)getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

QB_TEST(a_full_disk_is_told_and_nothing_more_is_taken)
{
    struct qb_journal *journal = make(1000000);
    struct qb_mailbox *mailbox = qb_mailbox_new(10, no_wake, NULL);
    struct qb_journal_writer *writer = qb_journal_writer(journal, mailbox, note, NULL);
    uint64_t durable = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    told_seq = 1;
    limit_files(500000);
    for (uint64_t seq = 1; seq <= 1000 && told_seq != 0; seq++) {
        if (!append(journal, writer, seq, 2000)) break;
        bool is_durable = qb_journal_flush(journal, MINUTE_US);
        while (qb_mailbox_drain(mailbox) > 0) continue;
        QB_EXPECT_EQ(told_seq, is_durable ? seq : 0, "told what became of it");
        if (told_seq > 0) durable = told_seq;
    }
    QB_EXPECT_EQ(told_seq, 0, "the writer hears that no more is confirmed");
    QB_EXPECT(durable > 10, "what went before was");
    QB_EXPECT(!append(journal, writer, durable + 1, 1), "it takes nothing more");
    QB_EXPECT(!qb_journal_flush(journal, MINUTE_US), "nor waits for it");
    limit_files(RLIM_INFINITY);
    qb_journal_free(&journal);
    journal = again();
    struct walk seen = take(journal);
    QB_EXPECT_EQ(seen.first, 1, "from the first");
    QB_EXPECT(seen.is_dense && seen.count >= durable, "every confirmed one is there, once");
    end(&journal);
    qb_mailbox_free(&mailbox);
}

static void report(void *context, qb_id auction, uint64_t seq)
{
    const int *pipe_end = context;

    (void)auction;
    if (write(*pipe_end, &seq, sizeof seq) != sizeof seq) _exit(1);
}

/* Appends from `seq` on and reports what is durable, until it is killed. */
static void append_for_ever(uint64_t seq, int pipe_end)
{
    database = qb_test_database_again();
    struct qb_journal *journal = open_journal(100000);
    struct qb_mailbox *mailbox = qb_mailbox_new(1000, no_wake, NULL);
    struct qb_journal_writer *writer = qb_journal_writer(journal, mailbox, report, &pipe_end);

    while (true) {
        while (append(journal, writer, seq, 100 + seq % 300)) seq++;
        (void)qb_mailbox_drain(mailbox);
    }
}

/* The newest seq that the child had reported when it was killed at some moment. */
static uint64_t run_and_kill(uint64_t seq, unsigned reports)
{
    int ends[2];
    uint64_t durable = 0;
    uint64_t newest = 0;

    qb_must(pipe(ends) == 0, "no pipe");
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        append_for_ever(seq, ends[1]);
    }
    (void)close(ends[1]);
    for (unsigned i = 0; i < reports && read(ends[0], &newest, sizeof newest) > 0; i++) {
        durable = newest;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    while (read(ends[0], &newest, sizeof newest) == sizeof newest) durable = newest;
    (void)close(ends[0]);
    return durable;
}

QB_TEST(what_was_confirmed_survives_the_end_of_the_process)
{
    uint64_t next = 1;

    qb_test_folder_new();
    for (unsigned round = 0; round < 20; round++) {
        uint64_t durable = run_and_kill(next, 1 + round % 5);
        QB_EXPECT(durable >= next, "the child had confirmed some");
        database = qb_test_database_again();
        struct qb_journal *journal = open_journal(1000);
        struct walk seen = take(journal);
        QB_EXPECT(seen.count > 0 && seen.first == 1, "from the first of all rounds");
        QB_EXPECT(seen.is_dense, "each once and in order");
        QB_EXPECT(seen.count >= durable, "every confirmed one is there");
        next = seen.count + 1;
        qb_journal_free(&journal);
        qb_database_free(&database);
    }
    qb_test_folder_remove();
}
