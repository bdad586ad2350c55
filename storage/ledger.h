/*
 * Port: the one ordered, deduplicated log of each auction, and its clock. It gives every command
 * its place and knows no rule.
 *
 * Implementations: ledger_memory.h, ledger_redis.h. tests/contract/ledger_contract.c says what each
 * must do.
 *
 * Thread    one ledger a home thread; that thread only.
 * Callback  exactly once per call, on that thread, never before the call has returned.
 * Order     entries of one auction come by seq without a gap, each once: appended by this ledger
 *           as results of its calls, by others through the listener. What lies below a result
 *           was heard before it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bidding/auctioneer.h"
#include "bidding/entry.h"

struct qb_ledger;

struct qb_ledger_command {
    const struct qb_entry *entry; /* without seq, epoch, now; borrowed for the call */
    qb_time_us expires_us;        /* in the ledger's time */
    bool is_mark;                 /* record an early refusal of the bid_id; append nothing */
    uint8_t refusal;              /* of a mark: enum qb_refusal */
    uint64_t as_of;               /* of a mark: the seq it was judged at */
};

struct qb_ledger_result {
    uint8_t outcome; /* enum qb_append_outcome */
    uint8_t refusal; /* REFUSED */
    uint32_t epoch;
    uint64_t seq;      /* DONE, DUPLICATE: its place; REFUSED: the seq it was judged at */
    uint64_t asked;    /* DUPLICATE, REFUSED: qb_entry_asked() of what has the id; 0: a DISCARD */
    qb_time_us now_us; /* DONE: the ledger's stamp, never earlier than the entry before */
};

/* `results` in the order of the commands; borrowed for the callback. */
typedef void qb_ledger_done(void *context, const struct qb_ledger_result *results, size_t count);

/* What a ledger tells by itself, on its thread. `durable` may come inside qb_ledger_durable(), the
 * others come inside no call. */
struct qb_ledger_listener {
    /* The next entry of a followed auction, appended by somebody else. Borrowed. */
    void (*heard)(void *context, const struct qb_entry *entry);
    /* All of the auction up to `seq` is durable, whoever made it so. */
    void (*durable)(void *context, qb_id auction, uint64_t seq);
    /* Nobody has made this entry durable for too long: hand it to the journal, and say
     * qb_ledger_adopted() when it is. It may be of an auction that is not followed. Borrowed.
     * False: it is not taken now, and told again. */
    bool (*orphan)(void *context, const struct qb_entry *entry);
    /* An auction whose end is near or past and that is not followed: load it (rules.md 5.7). Told
     * again each second until it is followed, or its snapshot says that it ends later or is over.
     */
    void (*due)(void *context, qb_id auction);
    /* A followed auction was let go, as what comes next in its log is no longer there (a reader
     * that was away for long), or none of it (it was over for long): follow it again. */
    void (*lost)(void *context, qb_id auction);
    /* Whether commands may be given. Closed: calls answer FENCED, what was heard may be taken
     * back by a recovery. Open again: in `epoch`, every followed auction was let go. */
    void (*open)(void *context, bool is_open, uint32_t epoch);
    void *context;
};

/* An auction's log as far as it is known: first `state` with its records, then `entries`. */
struct qb_ledger_log {
    const struct qb_lot *state; /* a snapshot, or null: from the first entry */
    const struct qb_bid_record *records;
    size_t record_count;
    const struct qb_entry *entries; /* by seq, behind the snapshot */
    size_t entry_count;
    uint64_t durable_seq;
};

enum qb_ledger_found { QB_LEDGER_FOUND, QB_LEDGER_NOT_FOUND, QB_LEDGER_NO_ANSWER };

/* `log` is borrowed, and null unless FOUND; then the auction is followed from here on. */
typedef void qb_ledger_followed(void *context, qb_id auction, enum qb_ledger_found found,
                                const struct qb_ledger_log *log);

struct qb_ledger_ops {
    void (*listen)(struct qb_ledger *ledger, const struct qb_ledger_listener *listener);
    void (*follow)(struct qb_ledger *ledger, qb_id auction, qb_ledger_followed *done,
                   void *context);
    void (*fed)(struct qb_ledger *ledger, qb_id auction, const uint8_t *bytes, size_t length);
    void (*missed)(struct qb_ledger *ledger, qb_id auction);
    void (*call)(struct qb_ledger *ledger, const struct qb_ledger_command *commands, size_t count,
                 qb_ledger_done *done, void *context);
    void (*durable)(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
    void (*adopted)(struct qb_ledger *ledger, qb_id auction, uint64_t seq);
    void (*snapshot)(struct qb_ledger *ledger, const struct qb_lot *lot,
                     const struct qb_bid_record *records, size_t count);
    void (*forget)(struct qb_ledger *ledger, qb_id auction);
    qb_time_us (*now_us)(struct qb_ledger *ledger, int64_t *uncertainty_us);
    void (*free)(struct qb_ledger *ledger);
};

struct qb_ledger { /* first member of every implementation */
    const struct qb_ledger_ops *ops;
};

/* Who is told; copied. Once, before any other use. */
static inline void qb_ledger_listen(struct qb_ledger *ledger,
                                    const struct qb_ledger_listener *listener)
{
    ledger->ops->listen(ledger, listener);
}

/* Asks for an auction's log, and from then on to hear what others append. An auction that this
 * ledger opens by a call is followed without it, and one that is followed or asked for is not asked
 * for again. `context` is kept. */
static inline void qb_ledger_follow(struct qb_ledger *ledger, qb_id auction,
                                    qb_ledger_followed *done, void *context)
{
    ledger->ops->follow(ledger, auction, done, context);
}

/* What the bus brought of an auction's log: a hint that may be late, doubled or torn. */
static inline void qb_ledger_fed(struct qb_ledger *ledger, qb_id auction, const uint8_t *bytes,
                                 size_t length)
{
    ledger->ops->fed(ledger, auction, bytes, length);
}

/* What the bus would have brought of an auction (0: of all) may be lost, as it was deaf or had not
 * begun: looks at once, instead of within a second. */
static inline void qb_ledger_missed(struct qb_ledger *ledger, qb_id auction)
{
    ledger->ops->missed(ledger, auction);
}

/* Many commands of many auctions in one call, in order. Each is appended, or answered by what its
 * bid_id has already. Only an OPEN may be of an auction that is not followed: any other is EXPIRED
 * when there is no such log, or FENCED when this ledger cannot know. `context` is kept. */
static inline void qb_ledger_call(struct qb_ledger *ledger,
                                  const struct qb_ledger_command *commands, size_t count,
                                  qb_ledger_done *done, void *context)
{
    ledger->ops->call(ledger, commands, count, done, context);
}

/* What this ledger appended of the auction up to `seq` is durable (MARK). */
static inline void qb_ledger_durable(struct qb_ledger *ledger, qb_id auction, uint64_t seq)
{
    ledger->ops->durable(ledger, auction, seq);
}

/* What this ledger told as orphans of the auction up to `seq` is durable. Apart from what it
 * appended: the two go to the journal out of step, and one must not vouch for the other. */
static inline void qb_ledger_adopted(struct qb_ledger *ledger, qb_id auction, uint64_t seq)
{
    ledger->ops->adopted(ledger, auction, seq);
}

/* Hands in a folded state with its records, to load the auction from: each few hundred entries,
 * once it was loaded because it was due and is not, and when it is over. Copied; kept back until
 * all of it is durable, and dropped while one before it is kept back still, but for the last. */
static inline void qb_ledger_snapshot(struct qb_ledger *ledger, const struct qb_lot *lot,
                                      const struct qb_bid_record *records, size_t count)
{
    ledger->ops->snapshot(ledger, lot, records, count);
}

/* Lets go of an auction: nothing more is heard of it. Embedded: only one that is over, as its ids
 * go with it. */
static inline void qb_ledger_forget(struct qb_ledger *ledger, qb_id auction)
{
    ledger->ops->forget(ledger, auction);
}

/* The ledger's clock as estimated here, and how far off the estimate may be. Never goes back. */
static inline qb_time_us qb_ledger_now_us(struct qb_ledger *ledger, int64_t *uncertainty_us)
{
    return ledger->ops->now_us(ledger, uncertainty_us);
}

/* Answers what is under way with UNKNOWN, frees the ledger, nulls the pointer. Accepts null. */
static inline void qb_ledger_free(struct qb_ledger **ledger)
{
    if (*ledger != NULL) (*ledger)->ops->free(*ledger);
    *ledger = NULL;
}
