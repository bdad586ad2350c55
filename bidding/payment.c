#include "bidding/payment.h"

#include <stddef.h>

#include "base/assert.h"

/* Each step that changes or repeats something; what is not here changes nothing (rules.md 12). */
static const struct {
    enum qb_payment_status status;
    enum qb_payment_event event;
    enum qb_payment_status next;
    bool must_refund;
} steps[] = {
    /* clang-format off */
    {QB_PAYMENT_NONE,      QB_PAYMENT_SOLD,           QB_PAYMENT_PENDING,   false},
    {QB_PAYMENT_PENDING,   QB_PAYMENT_OK,             QB_PAYMENT_PAID,      false},
    {QB_PAYMENT_PENDING,   QB_PAYMENT_DECLINED,       QB_PAYMENT_FAILED,    false},
    {QB_PAYMENT_PENDING,   QB_PAYMENT_DEADLINE,       QB_PAYMENT_EXPIRED,   false},
    {QB_PAYMENT_PENDING,   QB_PAYMENT_CANCEL,         QB_PAYMENT_CANCELLED, false},
    {QB_PAYMENT_FAILED,    QB_PAYMENT_OK,             QB_PAYMENT_PAID,      false},
    {QB_PAYMENT_FAILED,    QB_PAYMENT_DECLINED,       QB_PAYMENT_FAILED,    false},
    {QB_PAYMENT_FAILED,    QB_PAYMENT_RETRY,          QB_PAYMENT_PENDING,   false},
    {QB_PAYMENT_FAILED,    QB_PAYMENT_DEADLINE,       QB_PAYMENT_EXPIRED,   false},
    {QB_PAYMENT_FAILED,    QB_PAYMENT_CANCEL,         QB_PAYMENT_CANCELLED, false},
    {QB_PAYMENT_PAID,      QB_PAYMENT_OK,             QB_PAYMENT_PAID,      false}, /* the callback again */
    {QB_PAYMENT_PAID,      QB_PAYMENT_REFUND,         QB_PAYMENT_REFUNDED,  false},
    {QB_PAYMENT_REFUNDED,  QB_PAYMENT_REFUND,         QB_PAYMENT_REFUNDED,  false},
    {QB_PAYMENT_EXPIRED,   QB_PAYMENT_OK,             QB_PAYMENT_EXPIRED,   true},  /* never revives the sale */
    {QB_PAYMENT_CANCELLED, QB_PAYMENT_OK,             QB_PAYMENT_CANCELLED, true},
    {QB_PAYMENT_REFUNDED,  QB_PAYMENT_OK,             QB_PAYMENT_REFUNDED,  false}, /* the first capture, told again */
    {QB_PAYMENT_EXPIRED,   QB_PAYMENT_OFFER_NEXT,     QB_PAYMENT_OFFERED,   false},
    {QB_PAYMENT_CANCELLED, QB_PAYMENT_OFFER_NEXT,     QB_PAYMENT_OFFERED,   false},
    {QB_PAYMENT_REFUNDED,  QB_PAYMENT_OFFER_NEXT,     QB_PAYMENT_OFFERED,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_OFFER_NEXT,     QB_PAYMENT_OFFERED,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_OFFER_ACCEPTED, QB_PAYMENT_PENDING,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_OFFER_DECLINED, QB_PAYMENT_EXPIRED,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_OFFER_EXPIRED,  QB_PAYMENT_EXPIRED,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_DEADLINE,       QB_PAYMENT_EXPIRED,   false},
    {QB_PAYMENT_OFFERED,   QB_PAYMENT_OK,             QB_PAYMENT_OFFERED,   true},
    /* clang-format on */
};

struct qb_payment_step qb_payment_next(enum qb_payment_status status, enum qb_payment_event event)
{
    QB_ASSERT(status < QB_PAYMENT_STATUS_COUNT);
    QB_ASSERT(event < QB_PAYMENT_EVENT_COUNT);
    for (size_t i = 0; i < QB_COUNT(steps); i++) {
        if (steps[i].status != status || steps[i].event != event) continue;
        return (struct qb_payment_step){
            .status = steps[i].next, .is_allowed = true, .must_refund = steps[i].must_refund};
    }
    return (struct qb_payment_step){.status = status};
}

const char *qb_payment_status_name(enum qb_payment_status status)
{
    static const char *const names[QB_PAYMENT_STATUS_COUNT] = {
        [QB_PAYMENT_NONE] = NULL,           [QB_PAYMENT_PENDING] = "pending",
        [QB_PAYMENT_PAID] = "paid",         [QB_PAYMENT_FAILED] = "failed",
        [QB_PAYMENT_EXPIRED] = "expired",   [QB_PAYMENT_CANCELLED] = "cancelled",
        [QB_PAYMENT_REFUNDED] = "refunded", [QB_PAYMENT_OFFERED] = "offered",
    };

    QB_ASSERT(status < QB_PAYMENT_STATUS_COUNT);
    return names[status];
}

const char *qb_payment_event_name(enum qb_payment_event event)
{
    static const char *const names[QB_PAYMENT_EVENT_COUNT] = {
        [QB_PAYMENT_SOLD] = "SOLD",
        [QB_PAYMENT_OK] = "PAY_OK",
        [QB_PAYMENT_DECLINED] = "PAY_DECLINED",
        [QB_PAYMENT_RETRY] = "PAY_RETRY",
        [QB_PAYMENT_DEADLINE] = "DEADLINE",
        [QB_PAYMENT_CANCEL] = "CANCEL",
        [QB_PAYMENT_REFUND] = "REFUND",
        [QB_PAYMENT_OFFER_NEXT] = "OFFER_NEXT",
        [QB_PAYMENT_OFFER_ACCEPTED] = "OFFER_ACCEPTED",
        [QB_PAYMENT_OFFER_DECLINED] = "OFFER_DECLINED",
        [QB_PAYMENT_OFFER_EXPIRED] = "OFFER_EXPIRED",
    };

    QB_ASSERT(event < QB_PAYMENT_EVENT_COUNT);
    return names[event];
}
