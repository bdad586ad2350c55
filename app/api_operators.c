/*
 * What sellers, admins and bidders command beside bids. Who may is one table; the fold has the last
 * word on whether it can be done now.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "base/map.h"
#include "base/random.h"

#define KEY_BYTES    16
#define BIDS_AT_ONCE 10000

enum who { WHO_SELLER = 1, WHO_ADMIN = 2, WHO_BIDDER = 4 };
enum takes { TAKES_REASON, TAKES_RESERVE, TAKES_LABEL, TAKES_BIDS, TAKES_CAUSE };

/* clang-format off */
static const struct operation {
    const char *name; /* last part of the path */
    uint8_t type;     /* enum qb_entry_type */
    uint8_t who;      /* enum who, or-ed */
    uint8_t takes;
} operations[] = {
    {"pause",   QB_ENTRY_PAUSE,   WHO_SELLER | WHO_ADMIN, TAKES_REASON},
    {"resume",  QB_ENTRY_RESUME,  WHO_SELLER | WHO_ADMIN, TAKES_REASON},
    {"cancel",  QB_ENTRY_CANCEL,  WHO_SELLER | WHO_ADMIN, TAKES_REASON},
    {"reserve", QB_ENTRY_RESERVE, WHO_SELLER | WHO_ADMIN, TAKES_RESERVE},
    {"block",   QB_ENTRY_BLOCK,   WHO_SELLER | WHO_ADMIN, TAKES_LABEL},
    {"unblock", QB_ENTRY_UNBLOCK, WHO_SELLER | WHO_ADMIN, TAKES_LABEL},
    {"void",    QB_ENTRY_VOID,    WHO_ADMIN,              TAKES_BIDS},
    {"retract", QB_ENTRY_RETRACT, WHO_BIDDER,             TAKES_CAUSE},
};
/* clang-format on */

static const struct operation *operation_of(const struct qb_call *call)
{
    for (size_t i = 0; i < QB_COUNT(operations); i++)
        if (operations[i].type == call->entry.type) return &operations[i];
    return NULL;
}

static bool read_cause(struct qb_call *call)
{
    static const char *const causes[] = {
        [QB_RETRACT_WRONG_AMOUNT] = "wrong_amount",
        [QB_RETRACT_DESCRIPTION_CHANGED] = "description_changed",
        [QB_RETRACT_SELLER_UNREACHABLE] = "seller_unreachable",
    };
    const char *word = qb_json_string(qb_json_member(call->body, "reason"), NULL);

    for (size_t i = QB_RETRACT_WRONG_AMOUNT; word != NULL && i < QB_COUNT(causes); i++) {
        if (strcmp(word, causes[i]) != 0) continue;
        call->entry.reason = (uint8_t)i;
        return true;
    }
    return qb_error_set(&call->detail, "reason: it must be \"wrong_amount\", "
                                       "\"description_changed\" or \"seller_unreachable\".");
}

static bool read_text(struct qb_call *call)
{
    struct qb_entry *entry = &call->entry;

    QB_TRY(qb_form_text(call->body, "reason", 0, false, entry->text, sizeof entry->text,
                        &call->detail));
    entry->text_length = (uint16_t)strlen(entry->text);
    return true;
}

static bool read_number(struct qb_call *call, const char *name, int64_t most, int64_t *number)
{
    if (qb_json_integer(qb_json_member(call->body, name), number) && *number >= 1 &&
        *number <= most)
        return true;
    return qb_error_set(&call->detail, "%s: it must be an integer from 1 to %lld.", name,
                        (long long)most);
}

static bool read_label(struct qb_call *call)
{
    return qb_form_text(call->body, "label", QB_LABEL_BYTES - 1, false, call->label,
                        sizeof call->label, &call->detail);
}

static bool read_bids(struct qb_call *call)
{
    bool has_seq = qb_json_member(call->body, "seq") != NULL;
    int64_t seq = 0;

    if (has_seq == (qb_json_member(call->body, "label") != NULL))
        return qb_error_set(&call->detail, "seq: give either seq or label.");
    if (!has_seq) return read_label(call);
    QB_TRY(read_number(call, "seq", QB_AMOUNT_MAX, &seq));
    call->entry.target_seq = (uint64_t)seq;
    return true;
}

static bool read_fields(struct qb_call *call, enum takes takes)
{
    static const char *const members[][3] = {
        [TAKES_REASON] = {"reason", "reason", "reason"},
        [TAKES_RESERVE] = {"reserve", "reason", "reason"},
        [TAKES_LABEL] = {"label", "reason", "reason"},
        [TAKES_BIDS] = {"label", "seq", "reason"},
        [TAKES_CAUSE] = {"reason", "reason", "reason"},
    };

    if (call->body == NULL)
        return takes == TAKES_REASON || qb_error_set(&call->detail, "A JSON body is needed.");
    QB_TRY(qb_form_members(call->body, members[takes], 3, &call->detail));
    if (takes != TAKES_CAUSE) QB_TRY(read_text(call));
    switch (takes) {
    case TAKES_REASON:
        return true;
    case TAKES_RESERVE:
        return read_number(call, "reserve", call->api->options.amount_max, &call->entry.max);
    case TAKES_LABEL:
        return read_label(call);
    case TAKES_BIDS:
        return read_bids(call);
    case TAKES_CAUSE:
        break;
    }
    return read_cause(call);
}

/* The same key is the same command; without one each request is a command of its own. */
static void name_command(struct qb_call *call)
{
    const char *key = qb_http_header(call->request, "idempotency-key");
    uint8_t random[KEY_BYTES];

    if (key == NULL) {
        qb_random_secret(random, sizeof random);
        qb_hex(random, sizeof random, call->key);
    } else if (qb_key_is_valid(key, strlen(key))) {
        (void)memcpy(call->key, key, strlen(key) + 1);
    } else {
        qb_call_fail(call, QB_API_BAD_KEY);
    }
}

void qb_api_operate_prepare(struct qb_call *call)
{
    const char *name = strrchr(qb_http_path(call->request), '/') + 1;
    const struct operation *operation = operations;

    while (strcmp(operation->name, name) != 0) operation++; /* the routes name no others */
    call->entry = (struct qb_entry){
        .auction = call->id,
        .type = operation->type,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
    };
    if (!read_fields(call, (enum takes)operation->takes)) qb_call_fail(call, QB_API_BAD_BODY);
    name_command(call);
}

/* On whose authority; false: nobody's. */
static bool authorize(struct qb_call *call, const struct qb_listing *listing, unsigned who)
{
    bool is_seller = listing->seller == call->user.id;
    bool is_admin = (call->user.roles & QB_ROLE_ADMIN) != 0;

    if ((who & WHO_SELLER) != 0 && is_seller)
        call->entry.by = QB_ACTOR_SELLER;
    else if ((who & WHO_ADMIN) != 0 && is_admin)
        call->entry.by = QB_ACTOR_ADMIN;
    else if ((who & WHO_BIDDER) != 0)
        call->entry.by = QB_ACTOR_BIDDER;
    else
        return false;
    return true;
}

/* Who is behind a label, among all who have bid. */
struct search {
    const struct qb_lot *lot;
    const char *label;
    struct qb_map seen;
    qb_id found;
    bool is_double;
    uint64_t oldest; /* seq of the bid seen last */
    size_t count;    /* of this read */
};

static bool look_at(void *context, const struct qb_bid_row *bid)
{
    struct search *search = context;
    char label[QB_LABEL_BYTES];

    search->oldest = bid->seq;
    search->count++;
    if (qb_map_set(&search->seen, &bid->bidder, search) != NULL) return true;
    qb_bidder_label(search->lot->rules.secret, bid->bidder, label);
    if (strcmp(label, search->label) != 0) return true;
    search->is_double = search->found != 0;
    search->found = bid->bidder;
    return !search->is_double;
}

static void find_bidder(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};
    struct qb_lot lot;
    struct search search = {.lot = &lot, .label = call->label};
    enum qb_store_result found = qb_call_ops(call)->state(link, call->id, &lot, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (!qb_call_stored(call, found, "state", &error)) return;
    qb_map_init(&search.seen, sizeof(qb_id));
    /* Some at a time: an auction may have a million, and an answer is held whole. */
    do {
        search.count = 0;
        found = qb_call_ops(call)->bids(link, call->id, search.oldest, BIDS_AT_ONCE, look_at,
                                        &search, &error);
    } while (found == QB_STORE_OK && search.count == BIDS_AT_ONCE && !search.is_double);
    qb_map_fini(&search.seen);
    if (!qb_call_stored(call, found, "bids", &error)) return;
    if (search.found == 0 || search.is_double) {
        (void)qb_error_set(&call->detail, search.is_double
                                              ? "label: two bidders have it here. Ask support."
                                              : "label: no bidder of this auction has it.");
        qb_call_fail(call, QB_API_BAD_BODY);
    }
    call->entry.bidder = search.found;
}

void qb_api_operate_work(struct qb_call *call, struct qb_store_link *link)
{
    const struct operation *operation = operation_of(call);
    struct qb_entry *entry = &call->entry;
    struct qb_error error = {""};
    struct qb_listing listing;
    enum qb_store_result found = qb_call_ops(call)->listing(link, call->id, &listing, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (!qb_call_stored(call, found, "listing", &error)) return;
    if (!authorize(call, &listing, operation->who)) {
        qb_call_fail(call, QB_API_FORBIDDEN);
        return;
    }
    entry->actor = call->user.id;
    if (operation->takes == TAKES_CAUSE) entry->bidder = call->user.id;
    if (call->label[0] != '\0') find_bidder(call, link);
    qb_bid_id(call->id, call->user.id, call->key, strlen(call->key), entry->bid_id);
}

void qb_api_operate(struct qb_call *call)
{
    qb_call_command(call, &call->entry);
}
