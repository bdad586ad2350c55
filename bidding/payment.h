/*
 * The life of a payment after the close, as a pure table (rules.md 12). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

enum qb_payment_status {
    QB_PAYMENT_NONE,
    QB_PAYMENT_PENDING,
    QB_PAYMENT_PAID,
    QB_PAYMENT_FAILED,
    QB_PAYMENT_EXPIRED,
    QB_PAYMENT_CANCELLED,
    QB_PAYMENT_REFUNDED,
    QB_PAYMENT_OFFERED, /* a second chance is offered; the old row stays as it ended */
    QB_PAYMENT_STATUS_COUNT
};

enum qb_payment_event {
    QB_PAYMENT_SOLD,
    QB_PAYMENT_OK, /* the provider took the money */
    QB_PAYMENT_DECLINED,
    QB_PAYMENT_RETRY, /* the buyer tries again after a decline */
    QB_PAYMENT_DEADLINE,
    QB_PAYMENT_CANCEL,
    QB_PAYMENT_REFUND,
    QB_PAYMENT_OFFER_NEXT,
    QB_PAYMENT_OFFER_ACCEPTED,
    QB_PAYMENT_OFFER_DECLINED,
    QB_PAYMENT_OFFER_EXPIRED,
    QB_PAYMENT_EVENT_COUNT
};

struct qb_payment_step {
    enum qb_payment_status status; /* after the event; the same for a repeated or late one */
    bool is_allowed;               /* false: the event changes nothing here */
    bool must_refund;              /* money came for a sale that is over: give it back */
};

/* What `event` does to a payment in `status`. */
struct qb_payment_step qb_payment_next(enum qb_payment_status status, enum qb_payment_event event);

/* The word on the wire: "pending" … or null for NONE. */
const char *qb_payment_status_name(enum qb_payment_status status);
/* "SOLD", "PAY_OK", "PAY_DECLINED", "PAY_RETRY", "DEADLINE", "CANCEL", "REFUND", "OFFER_NEXT" … */
const char *qb_payment_event_name(enum qb_payment_event event);

#define QB_PAYMENT_DEADLINE_US (INT64_C(4) * 24 * 3600 * 1000000)
