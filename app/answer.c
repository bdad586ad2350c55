#include <string.h>

#include "app/runner.h"
#include "base/clock.h"

static bool is_refused(const struct qb_answer *answer)
{
    return answer->reply == QB_REPLY_REFUSED ||
           (answer->reply == QB_REPLY_VERDICT && answer->verdict.code == QB_VERDICT_REFUSED);
}

bool qb_answer_is_good(const struct qb_answer *answer)
{
    if (answer->is_unknown_auction || is_refused(answer)) return false;
    return answer->reply == QB_REPLY_VERDICT || answer->reply == QB_REPLY_VOID;
}

void qb_answer_problem(const struct qb_answer *answer, struct qb_problem *problem)
{
    *problem = (struct qb_problem){
        .code = "unavailable",
        .text = "Bids cannot be taken at this moment. Try again with the same key.",
        .is_temporary = true,
    };
    if (answer->is_unknown_auction) {
        problem->code = "unknown_auction";
        problem->text = "There is no such auction that takes commands. Check its id.";
        problem->is_temporary = false;
    } else if (is_refused(answer)) {
        enum qb_refusal refusal = (enum qb_refusal)answer->verdict.refusal;
        problem->code = qb_refusal_code(refusal);
        problem->text = qb_refusal_text(refusal);
        problem->is_temporary = false;
    } else if (answer->is_halted) {
        problem->code = "halted";
        problem->text = "This auction is halted by the operator: nothing that you sent now was "
                        "counted. Try again later with the same key.";
    } else if (answer->is_rate_limited) {
        problem->code = "rate_limited";
        problem->text = "This account has sent as many commands as it may in a minute. Try again "
                        "with the same key after the time given.";
    } else if (answer->reply == QB_REPLY_BUSY) {
        problem->code = "busy";
        problem->text = "Too many bids wait at this moment. Try again with the same key.";
    }
}

static void amount(struct qb_text *text, const char *name, int64_t value)
{
    if (value == QB_AMOUNT_NONE)
        qb_text_json_null(text, name);
    else
        qb_text_json_int(text, name, value);
}

void qb_answer_extra_json(struct qb_text *text, const struct qb_answer *answer)
{
    if (answer->is_rate_limited) qb_text_json_text(text, "limit", "bids_per_minute");
    if (!is_refused(answer)) return;
    if (text->length > 0) qb_text_string(text, ",");
    bool is_entry = answer->reply == QB_REPLY_VERDICT;
    qb_text_format(text, "\"%s\":%llu", is_entry ? "seq" : "as_of",
                   (unsigned long long)answer->seq);
    if (answer->verdict.refusal == QB_REFUSAL_KEY_REUSED) return;
    amount(text, "minimum", answer->verdict.minimum);
    amount(text, "price", answer->verdict.price);
    qb_text_json_int(text, "ends_at_ms", answer->verdict.ends_at_us / QB_MS_US);
}

void qb_answer_json(struct qb_text *text, const struct qb_answer *answer)
{
    const struct qb_verdict *verdict = &answer->verdict;
    static const char *const statuses[] = {"scheduled", "open",   "paused",
                                           "sold",      "unsold", "cancelled"};

    if (answer->reply == QB_REPLY_VOID) {
        qb_text_json_text(text, "verdict", "void");
        return;
    }
    qb_text_json_text(text, "verdict", qb_verdict_name((enum qb_verdict_code)verdict->code));
    qb_text_json_int(text, "seq", (int64_t)answer->seq);
    qb_text_json_int(text, "epoch", answer->epoch);
    amount(text, "price", verdict->price);
    amount(text, "minimum", verdict->minimum);
    qb_text_json_int(text, "ends_at_ms", verdict->ends_at_us / QB_MS_US);
    qb_text_json_int(text, "bids", verdict->bids);
    qb_text_json_text(text, "status", statuses[verdict->status]);
    if (answer->label[0] != '\0') qb_text_json_text(text, "label", answer->label);
}
