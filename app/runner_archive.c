/*
 * Commands to an auction that has left the memory: it is over, and the store has its log. A key
 * gets its first answer from there; everything else is refused as ended (rules.md 7).
 */
#include <stdlib.h>
#include <string.h>

#include "app/runner_state.h"
#include "base/assert.h"
#include "base/log.h"

struct archive_query {
    struct qb_runner *runner;
    struct qb_request *request;
    struct qb_answer answer;
};

/* What the key has: its verdict, or that it was used for something else. */
static void take_entry(struct archive_query *query, const struct qb_archived *archived,
                       const struct qb_lot *lot)
{
    const struct qb_request *request = query->request;
    struct qb_answer *answer = &query->answer;
    struct qb_entry entry;
    struct qb_rules rules;

    answer->seq = archived->seq;
    answer->verdict = archived->verdict;
    if (answer->verdict.code == QB_VERDICT_BOUGHT) answer->verdict.price = lot->final_price;
    answer->reply = QB_REPLY_VERDICT;
    if (archived->verdict.code == QB_VERDICT_VOID) {
        answer->reply = QB_REPLY_VOID;
        return;
    }
    if (!qb_entry_decode(archived->bytes, archived->length, &entry, &rules)) return;
    answer->epoch = entry.epoch;
    bool is_other =
        !request->is_resolve && qb_entry_asked(&entry) != qb_entry_asked(&request->entry);
    if (!is_other) return;
    answer->reply = QB_REPLY_REFUSED;
    answer->verdict =
        (struct qb_verdict){.code = QB_VERDICT_REFUSED, .refusal = QB_REFUSAL_KEY_REUSED};
}

/* A key that the log does not know: nothing is taken any more. */
static void take_state(struct archive_query *query, const struct qb_lot *lot)
{
    struct qb_answer *answer = &query->answer;
    bool is_cancelled = lot->status == QB_STATUS_CANCELLED;

    answer->seq = lot->seq;
    answer->epoch = lot->epoch;
    answer->reply = query->request->is_resolve ? QB_REPLY_VOID : QB_REPLY_REFUSED;
    answer->verdict = (struct qb_verdict){
        .code = QB_VERDICT_REFUSED,
        .refusal = is_cancelled ? QB_REFUSAL_CANCELLED : QB_REFUSAL_ENDED,
        .price = lot->price,
        .minimum = QB_AMOUNT_NONE,
        .leader = lot->leader,
        .ends_at_us = lot->ends_at_us,
        .bids = lot->bids,
        .status = lot->status,
    };
}

static void run_query(void *job, void *worker)
{
    struct archive_query *query = job;
    const struct qb_store_ops *store = query->runner->all->options.store;
    const struct qb_entry *entry = &query->request->entry;
    struct qb_archived archived;
    struct qb_lot lot;
    uint8_t bytes[QB_ENTRY_BYTES_MAX];
    struct qb_error error = {""};

    if (worker == NULL) return; /* it has waited too long */
    enum qb_store_result result = store->state(worker, entry->auction, &lot, &error);
    if (result == QB_STORE_NOT_FOUND) query->answer.is_unknown_auction = true;
    if (result == QB_STORE_OK && qb_lot_is_over(&lot)) {
        if (query->request->user != 0) {
            qb_bidder_label(lot.rules.secret, query->request->user, query->answer.label);
        }
        result =
            store->entry_by_bid_id(worker, entry->auction, entry->bid_id, &archived, bytes, &error);
        if (result == QB_STORE_OK)
            take_entry(query, &archived, &lot);
        else if (result == QB_STORE_NOT_FOUND)
            take_state(query, &lot);
    }
    if (qb_store_is_down(result)) {
        qb_log(QB_LOG_ERROR, "store.failed", QB_TEXT("query", "archive"),
               QB_TEXT("error", error.text));
    }
}

static void end_query(void *job)
{
    struct archive_query *query = job;
    struct qb_answer *answer = &query->answer;

    /* What was found is final: asking again changes nothing. */
    if (answer->is_unknown_auction || answer->reply != QB_REPLY_UNAVAILABLE)
        answer->retry_after_ms = 0;
    qb_request_end(query->runner, query->request, &query->answer);
    free(query);
}

void qb_runner_ask_archive(struct qb_runner *runner, struct qb_request *request)
{
    struct archive_query *query = calloc(1, sizeof *query);

    QB_ASSERT(query != NULL);
    query->runner = runner;
    query->request = request;
    /* Stays, when the store cannot answer or the auction is just moving in: ask again. */
    query->answer = (struct qb_answer){.reply = QB_REPLY_UNAVAILABLE, .retry_after_ms = 1000};
    if (qb_work_submit(runner->all->options.store_pool, qb_loop_mailbox(runner->loop), run_query,
                       end_query, query)) {
        return;
    }
    qb_request_end(runner, request, &query->answer);
    free(query);
}
