/*
 * What follows from what was found. Every sentence is for somebody who was just woken up: what it
 * is, what it waits for, what to do next, and what not to do.
 */
#include "app/explain_parts.h"

struct advice {
    const struct qb_explain *explain;
    struct qb_text *text;
    unsigned lost_shards;   /* Redis answers, and is another than that of the epoch */
    unsigned silent_shards; /* Redis does not answer */
    unsigned lost_queues;
    unsigned unread_queues; /* with messages and no reader */
    int64_t messages;
    bool is_open;
    bool is_rebuilding; /* a shard is, by its token */
};

static bool answers(const struct qb_explain_answer *answer)
{
    return answer->why[0] == '\0';
}

static void line(struct advice *advice, const char *head, const char *sentence)
{
    qb_text_format(advice->text, "%-11s %s\n", head, sentence);
}

static void look(struct advice *advice)
{
    const struct qb_explain *explain = advice->explain;

    for (unsigned i = 0; i < explain->shards; i++) {
        const struct qb_explain_shard *shard = &explain->redis[i];
        const struct qb_rabbit_count *queue = &explain->seen.queues[i];
        if (!answers(&shard->answer))
            advice->silent_shards++;
        else if (shard->fence == QB_EXPLAIN_REBUILDING)
            advice->is_rebuilding = true;
        else if (shard->fence != QB_EXPLAIN_INTACT)
            advice->lost_shards++;
        if (!answers(&explain->rabbit)) continue;
        if (queue->is_missing) advice->lost_queues++;
        if (queue->messages > 0 && queue->consumers == 0) advice->unread_queues++;
        advice->messages += queue->messages;
    }
    advice->is_open =
        answers(&explain->postgres) && explain->situation.epoch.state == QB_EPOCH_OPEN;
    if (answers(&explain->postgres) && explain->situation.epoch.epoch == 0) {
        advice->lost_shards = 0; /* nothing was ever there */
        advice->lost_queues = 0;
    }
}

/* A recovery is called for, by what answers. */
static bool is_needed(const struct advice *advice)
{
    bool is_closed = answers(&advice->explain->postgres) && !advice->is_open;

    return is_closed || advice->is_rebuilding || advice->lost_shards > 0 || advice->lost_queues > 0;
}

/* Whether it is needed, who leads it, which step it is in. */
static void tell_recovery(struct advice *advice)
{
    const struct qb_situation *situation = &advice->explain->situation;
    const struct qb_situation_leader *leader = &situation->leader;

    if (!answers(&advice->explain->postgres)) {
        line(advice, "Recovery",
             is_needed(advice)
                 ? "is needed, and cannot begin: Postgres says who leads, and does not answer."
                 : "is not known to be needed; Postgres, which would say, does not answer.");
    } else if (!is_needed(advice)) {
        line(advice, "Recovery",
             advice->silent_shards > 0 || !answers(&advice->explain->rabbit)
                 ? "is not begun; whether it is needed shows when all services answer."
                 : "is not needed.");
    } else if (!leader->is_there && situation->epoch.epoch == 0) {
        line(advice, "Recovery",
             "is needed: no epoch was ever opened here. The first server does.");
    } else if (!leader->is_there) {
        line(advice, "Recovery",
             advice->is_open ? "is needed, and not begun: a server begins within seconds."
                             : "is needed, was begun, and nobody leads it.");
    } else {
        qb_text_format(advice->text,
                       "%-11s is under way, led by %s from %s (process %lld of Postgres)",
                       "Recovery", leader->name[0] != '\0' ? leader->name : "a server",
                       leader->address, (long long)leader->backend);
        if (leader->step[0] != '\0')
            qb_text_format(advice->text, ", in step \"%s\" for %lld s", leader->step,
                           (long long)leader->step_s);
        qb_text_string(advice->text, ".\n");
    }
}

static void tell_waits(struct advice *advice)
{
    const struct qb_explain *explain = advice->explain;
    const struct qb_situation *situation = &explain->situation;
    bool is_draining = answers(&explain->postgres) && !advice->is_open &&
                       situation->epoch.state == QB_EPOCH_SEALING && situation->epoch.epoch > 0;
    bool waits = false;

    if (!is_needed(advice)) return;
    if (!answers(&explain->postgres)) line(advice, "Waits for", "Postgres."), waits = true;
    if (!answers(&explain->rabbit)) line(advice, "Waits for", "RabbitMQ."), waits = true;
    for (unsigned i = 0; i < explain->shards; i++) {
        if (answers(&explain->redis[i].answer)) continue;
        qb_text_format(advice->text, "%-11s Redis %u.\n", "Waits for", i);
        waits = true;
    }
    if (is_draining && answers(&explain->rabbit) && situation->drained[1] < explain->shards) {
        qb_text_format(advice->text,
                       "%-11s persisters to read the queues to their end: %lld messages; %u of %u "
                       "shards have met the last marker.\n",
                       "Waits for", (long long)advice->messages, situation->drained[1],
                       explain->shards);
        waits = true;
    }
    if (!waits && answers(&explain->postgres) && !situation->leader.is_there)
        line(advice, "Waits for", "a server (`quickbid serve`) that leads it.");
    else if (!waits)
        line(advice, "Waits for", "nothing: look again in a few seconds.");
}

static void advise_lost(struct advice *advice)
{
    if (advice->lost_shards > 0 && advice->lost_queues > 0) {
        line(advice, "Do",
             "PAGE A DEVELOPER: Redis and RabbitMQ have both lost something at once. Entries that "
             "were acknowledged and are not in Postgres may be gone. Keep the data folders of "
             "both.");
    } else if (advice->lost_queues > 0) {
        line(advice, "Do",
             "A queue is lost. Do not restart Redis and leave its data alone: it may hold the only "
             "copy of what was in the queue. The recovery makes the queue anew and publishes from "
             "Redis what Postgres has not.");
    } else if (advice->lost_shards > 0) {
        line(
            advice, "Do",
            "Redis restarted or lost its data: nothing that was acknowledged is lost, the recovery "
            "writes it anew from RabbitMQ's queues and Postgres. Do not remove queues. Find out "
            "why "
            "it restarted.");
    }
}

static void advise_silent(struct advice *advice)
{
    const struct qb_explain *explain = advice->explain;

    if (!answers(&explain->postgres))
        line(advice, "Do",
             "Bring Postgres back first (DATABASE_URL must be the primary). Bids go on without it "
             "while no recovery is needed; the queues hold them. Until it is back do not restart "
             "Redis or RabbitMQ: they have what it has not.");
    if (!answers(&explain->rabbit))
        line(
            advice, "Do",
            "Start RabbitMQ again with its data; bids are refused meanwhile. If its data is lost, "
            "start it empty, and do not restart Redis before the recovery is over: it then has the "
            "only copy of what Postgres has not.");
    if (advice->silent_shards > 0)
        line(advice, "Do",
             "Start Redis again with its data; bids on its auctions wait meanwhile. If its data is "
             "lost, start it empty: the recovery writes it anew, and nothing that was acknowledged "
             "is "
             "lost while RabbitMQ has its queues. If it answers and is refused, change the setting "
             "that is named above.");
}

static void advise(struct advice *advice)
{
    const struct qb_explain *explain = advice->explain;
    const struct qb_situation *situation = &explain->situation;
    bool are_there = answers(&explain->postgres);
    bool is_nobody = are_there && is_needed(advice) && !situation->leader.is_there;

    advise_silent(advice);
    advise_lost(advice);
    if (advice->unread_queues > 0)
        line(advice, "Do",
             "Start `quickbid persist`: nobody reads a queue that has messages. If one runs, its "
             "log "
             "says what it waits for (persist.waiting).");
    if (is_nobody)
        line(advice, "Do",
             "Start a server (`quickbid serve`), or find out why none leads: `recovery.failed` in "
             "the servers' logs names the step and the reason.");
    if (are_there && situation->quarantined > 0)
        line(advice, "Do",
             "PAGE A DEVELOPER: entries are quarantined (the table conflicts); see \"A halted "
             "auction\" in docs/operations.md.");
    if (answers(&explain->rabbit) && explain->seen.dead.messages > 0)
        line(advice, "Do",
             "PAGE A DEVELOPER: RabbitMQ discarded confirmed messages; they are in the queue of "
             "dead "
             "letters. Look for a policy at the broker, and remove nothing.");
}

enum qb_explain_verdict qb_explain_advise(const struct qb_explain *explain, struct qb_text *text)
{
    struct advice advice = {.explain = explain, .text = text};

    look(&advice);
    tell_recovery(&advice);
    tell_waits(&advice);
    size_t before = text->length;
    advise(&advice);
    bool is_silent =
        !answers(&explain->postgres) || !answers(&explain->rabbit) || advice.silent_shards > 0;
    if (text->length == before)
        line(&advice, "Do",
             is_needed(&advice) ? "Nothing: it goes on by itself. Look again in a few "
                                  "seconds."
                                : "Nothing.");
    else if (!is_silent)
        return QB_EXPLAIN_ATTENTION;
    if (is_silent) return QB_EXPLAIN_UNKNOWN;
    return is_needed(&advice) ? QB_EXPLAIN_ATTENTION : QB_EXPLAIN_FINE;
}
