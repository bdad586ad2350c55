#include "app/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/explain_parts.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/sql.h"

#define EXIT_USAGE 2

/* What Postgres has of each auction, ascending. */
struct applied {
    struct qb_explain_head *list; /* `seq` is what is applied */
    size_t count;
    size_t room;
};

static void add_applied(void *context, qb_id auction, uint64_t applied_seq)
{
    struct applied *applied = context;

    if (applied->count == applied->room) {
        applied->room = applied->room == 0 ? 256 : applied->room * 2;
        applied->list = realloc(applied->list, applied->room * sizeof *applied->list);
        QB_ASSERT(applied->list != NULL);
    }
    applied->list[applied->count++] = (struct qb_explain_head){auction, applied_seq, 0};
}

static int compare_heads(const void *left, const void *right)
{
    const struct qb_explain_head *a = left;
    const struct qb_explain_head *b = right;

    return (a->auction > b->auction) - (a->auction < b->auction);
}

static void fail(struct qb_explain_answer *answer, const char *why)
{
    (void)snprintf(answer->why, sizeof answer->why, "%.250s", why);
}

static void ask_postgres(const struct qb_cluster *cluster, struct qb_explain *explain,
                         struct applied *applied)
{
    struct qb_error error = {""};
    struct qb_sql_link *link = qb_postgres_open(cluster->primary, &error);
    bool is_good = link != NULL && qb_situation_read(link, &explain->situation, &error) &&
                   qb_situation_applied(link, add_applied, applied, &error);

    if (!is_good) fail(&explain->postgres, error.text);
    qb_sql_close(&link);
}

/* How many entries of the shard Postgres lacks. What it does not know at all it has nothing of. */
static void compare(struct qb_explain_shard *shard, const struct applied *applied)
{
    for (size_t i = 0; i < shard->head_count; i++) {
        const struct qb_explain_head *head = &shard->heads[i];
        const struct qb_explain_head *found =
            applied->count > 0
                ? bsearch(head, applied->list, applied->count, sizeof *applied->list, compare_heads)
                : NULL;
        uint64_t has = found != NULL ? found->seq : 0;
        if (head->seq > has) shard->unarchived += head->seq - has;
    }
}

static void tell_postgres(const struct qb_explain *explain, struct qb_text *text)
{
    const struct qb_situation *situation = &explain->situation;
    char when[QB_TIME_TEXT_BYTES];

    if (explain->postgres.why[0] != '\0') {
        qb_text_format(text, "%-11s cannot be asked: %s\n", "Postgres", explain->postgres.why);
        return;
    }
    qb_text_format(text, "%-11s says: epoch %" PRIu32 " is %s", "Postgres", situation->epoch.epoch,
                   qb_epoch_state_name((enum qb_epoch_state)situation->epoch.state));
    if (situation->epoch.state == QB_EPOCH_OPEN) {
        qb_clock_text(situation->epoch.opened_us, when);
        qb_text_format(text, " since %s", when);
    }
    qb_text_format(text,
                   ". %lld auctions are not over; %lld entries wait for one before them; %lld "
                   "are quarantined, of %lld auctions.\n",
                   (long long)situation->auctions, (long long)situation->staged,
                   (long long)situation->quarantined, (long long)situation->halted);
}

static void tell_fence(const struct qb_explain_shard *shard, struct qb_text *text)
{
    switch (shard->fence) {
    case QB_EXPLAIN_INTACT:
        qb_text_format(text, "is the one that epoch %lld was opened in.", (long long)shard->epoch);
        break;
    case QB_EXPLAIN_NO_EPOCH:
        qb_text_string(text, "has no epoch: its data is lost, or it is new.");
        break;
    case QB_EXPLAIN_REBUILDING:
        qb_text_string(text, "is being written anew by a recovery.");
        break;
    case QB_EXPLAIN_RESTARTED:
        qb_text_format(text, "has epoch %lld and not its scripts: it restarted since.",
                       (long long)shard->epoch);
        break;
    case QB_EXPLAIN_OTHER:
        qb_text_format(text, "has epoch %lld, which is not the one of Postgres.",
                       (long long)shard->epoch);
        break;
    }
}

static void tell_shard(const struct qb_explain *explain, unsigned index, struct qb_text *text)
{
    const struct qb_explain_shard *shard = &explain->redis[index];
    char name[24];

    (void)snprintf(name, sizeof name, "Redis %u", index);
    if (shard->answer.why[0] != '\0') {
        qb_text_format(text, "%-11s cannot be used: %s\n", name, shard->answer.why);
        return;
    }
    qb_text_format(text, "%-11s ", name);
    tell_fence(shard, text);
    qb_text_format(text, " %lld auctions", (long long)shard->live);
    if (shard->due > 0)
        qb_text_format(text, ", %lld of them due, the next in %lld s", (long long)shard->due,
                       (long long)(shard->next_end_us / QB_SECOND_US));
    qb_text_format(text, "; %" PRIu64 " entries not confirmed by RabbitMQ", shard->unconfirmed);
    if (shard->pending > 0)
        qb_text_format(text, ", in %lld auctions, the oldest for %lld s", (long long)shard->pending,
                       (long long)(shard->pending_us / QB_SECOND_US));
    if (explain->postgres.why[0] == '\0')
        qb_text_format(text, "; %" PRIu64 " not in Postgres", shard->unarchived);
    qb_text_string(text,
                   shard->head_count < (size_t)shard->due ? " (of those due first).\n" : ".\n");
}

static void tell_queue(struct qb_text *text, const char *prefix, const char *name,
                       const struct qb_rabbit_count *count)
{
    if (count->is_missing)
        qb_text_format(text, " %s.%s is missing.", prefix, name);
    else
        qb_text_format(text, " %s.%s: %u messages, %u readers.", prefix, name, count->messages,
                       count->consumers);
}

static void tell_rabbit(const struct qb_explain *explain, struct qb_text *text)
{
    if (explain->rabbit.why[0] != '\0') {
        qb_text_format(text, "%-11s cannot be asked: %s\n", "RabbitMQ", explain->rabbit.why);
        return;
    }
    qb_text_format(text, "%-11s answers.", "RabbitMQ");
    for (unsigned i = 0; i < explain->shards; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "entries.%u", i);
        tell_queue(text, explain->prefix, name, &explain->seen.queues[i]);
    }
    tell_queue(text, explain->prefix, "dead", &explain->seen.dead);
    qb_text_string(text, "\n");
}

static int explain_cluster(const struct qb_cluster *cluster)
{
    struct qb_explain explain = {.shards = cluster->redis.count, .prefix = cluster->journal.prefix};
    struct applied applied = {0};
    struct qb_text text = {0};
    struct qb_error error = {""};

    ask_postgres(cluster, &explain, &applied);
    bool is_known = explain.postgres.why[0] == '\0';
    int64_t epoch = is_known ? (int64_t)explain.situation.epoch.epoch : -1;
    for (unsigned i = 0; i < explain.shards; i++) {
        qb_explain_ask_shard(cluster, i, epoch, &explain.redis[i]);
        compare(&explain.redis[i], &applied);
    }
    if (!qb_journal_rabbit_look(&cluster->journal, &explain.seen, &error))
        fail(&explain.rabbit, error.text);
    tell_postgres(&explain, &text);
    for (unsigned i = 0; i < explain.shards; i++) tell_shard(&explain, i, &text);
    tell_rabbit(&explain, &text);
    enum qb_explain_verdict verdict = qb_explain_advise(&explain, &text);
    (void)fputs(text.bytes, stdout);
    qb_text_fini(&text);
    for (unsigned i = 0; i < explain.shards; i++) free(explain.redis[i].heads);
    free(applied.list);
    return (int)verdict;
}

int qb_explain_command(const struct qb_settings *settings, const char *argument)
{
    struct qb_error error = {""};

    if (strcmp(argument, "--explain") != 0) {
        (void)fprintf(stderr, "quickbid recover: write `quickbid recover --explain`; recoveries "
                              "themselves are led by `quickbid serve`\n");
        return EXIT_USAGE;
    }
    struct qb_cluster *cluster = qb_cluster_new(settings, &error);
    if (cluster == NULL) {
        (void)fprintf(stderr, "quickbid recover: %s\n", error.text);
        return EXIT_USAGE;
    }
    qb_log_setup(QB_LOG_ERROR, 0); /* what it finds is its output */
    int status = explain_cluster(cluster);
    qb_cluster_free(&cluster);
    return status;
}
