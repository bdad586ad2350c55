/*
 * Publishing an auction: its texts into the store, its OPEN into its log.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/listing_json.h"
#include "base/assert.h"

#define OPEN_KEY "open" /* an auction has one OPEN, however often it is sent */

void qb_api_publish_prepare(struct qb_call *call)
{
    const char *key = qb_http_header(call->request, "idempotency-key");

    if (key == NULL) return;
    if (qb_key_is_valid(key, strlen(key)))
        (void)memcpy(call->key, key, strlen(key) + 1);
    else
        qb_call_fail(call, QB_API_BAD_KEY);
}

/* A listing that was made under the same key and is not in the archive. Its OPEN is sent again: the
 * log takes one, as long as the auction may be in memory. Later it has either been archived, or it
 * never opened, and then nobody has waited for it. */
static bool may_open(const struct qb_call *call)
{
    const struct qb_listing *listing = call->listing;
    qb_time_us now_us = qb_clock_wall_us();

    return now_us - listing->created_us < call->api->options.over_keep_us &&
           now_us < listing->ends_at_us;
}

/* What the seller has asked for under the same key before. False: nothing, or the store failed. */
static bool find_earlier(struct qb_call *call, struct qb_store_link *link,
                         const struct qb_listing_terms *terms)
{
    struct qb_error error = {""};
    uint8_t asked[QB_SHA256_BYTES];
    enum qb_store_result found = qb_call_ops(call)->listing_by_key(link, call->user.id, call->key,
                                                                   call->listing, asked, &error);

    if (!qb_call_stored(call, found, "listing_by_key", &error)) return false;
    if (memcmp(asked, terms->asked, sizeof asked) != 0) {
        qb_call_fail(call, QB_API_KEY_REUSED);
    } else if (call->listing->status != QB_STATUS_NONE) {
        call->is_open = true;
    } else if (!may_open(call)) {
        (void)qb_error_set(&call->detail, "The auction of this key could not be opened in time. "
                                          "Use a new key.");
        qb_call_fail(call, QB_API_KEY_REUSED);
    }
    return true;
}

static bool is_image_there(struct qb_call *call, struct qb_store_link *link)
{
    const char *image = call->listing->image;
    uint8_t hash[QB_IMAGE_HASH_BYTES];
    struct qb_error error = {""};

    if (image[0] == '\0') return true;
    bool is_hash = qb_hex_parse(image, strlen(image), hash);
    QB_ASSERT(is_hash); /* the form has checked it */
    enum qb_store_result found = qb_call_ops(call)->image_is_there(link, hash, &error);
    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NO_IMAGE);
    return qb_call_stored(call, found, "image_is_there", &error);
}

static enum qb_store_result add_listing(struct qb_call *call, struct qb_store_link *link,
                                        struct qb_listing_terms *terms)
{
    struct qb_error error = {""};
    enum qb_store_result added = qb_call_ops(call)->listing_add(link, call->listing, terms, &error);

    if (added == QB_STORE_FULL) {
        qb_call_limit(call, QB_API_AUCTIONS_FULL, "auctions_per_seller");
    } else if (added == QB_STORE_LATER) {
        call->wait_us = terms->free_us - call->listing->created_us;
        (void)qb_error_set(&call->detail, "This account has published as many auctions within 24 "
                                          "hours as it may. Wait as long as Retry-After says.");
        qb_call_limit(call, QB_API_RATE_LIMITED, "auctions_per_day");
    }
    (void)qb_call_stored(call, added, "listing_add", &error);
    return added;
}

/* Rules and texts by the body, as of `now_us`: the same body and time make the same ones, but for
 * the secret. */
static bool read_form(struct qb_call *call, qb_time_us now_us, struct qb_listing *listing)
{
    const struct qb_auction_form form = {
        .seller = call->user.id,
        .now_us = now_us,
        .amount_max = call->api->options.amount_max,
    };

    if (qb_auction_form_read(&form, call->body, call->rules, listing, &call->detail)) return true;
    qb_call_fail(call, QB_API_BAD_BODY);
    return false;
}

/* The auction of an earlier request, to be opened with the rules that it was listed with. */
static void open_earlier(struct qb_call *call)
{
    struct qb_listing *again = calloc(1, sizeof *again);

    QB_ASSERT(again != NULL);
    (void)read_form(call, call->listing->created_us, again);
    free(again);
}

/* Texts first: an auction that people can bid on must have a name. */
void qb_api_publish_work(struct qb_call *call, struct qb_store_link *link)
{
    const struct qb_api_options *options = &call->api->options;
    bool is_admin = (call->user.roles & QB_ROLE_ADMIN) != 0;
    struct qb_listing_terms terms = {
        .key = call->key[0] != '\0' ? call->key : NULL,
        .live_max = is_admin ? 0 : options->auctions_per_seller,
        .day_max = is_admin ? 0 : options->auctions_per_day,
    };
    enum qb_store_result added = QB_STORE_NOT_FOUND;

    if ((call->user.roles & (QB_ROLE_SELLER | QB_ROLE_ADMIN)) == 0) {
        qb_call_fail(call, QB_API_FORBIDDEN);
        return;
    }
    call->rules = calloc(1, sizeof *call->rules);
    call->listing = calloc(1, sizeof *call->listing);
    QB_ASSERT(call->rules != NULL && call->listing != NULL);
    qb_sha256_of(call->bytes, call->byte_count, terms.asked);
    bool is_known = terms.key != NULL && find_earlier(call, link, &terms);
    if (!is_known && call->problem == QB_API_NONE &&
        read_form(call, qb_clock_wall_us(), call->listing) && is_image_there(call, link)) {
        call->listing->id = qb_id_new();
        added = add_listing(call, link, &terms);
    }
    /* The same request a moment ago, on another worker. */
    if (added == QB_STORE_TAKEN) is_known = terms.key != NULL && find_earlier(call, link, &terms);
    if (added == QB_STORE_TAKEN && !is_known) qb_call_fail(call, QB_API_BUSY);
    if (is_known && call->problem == QB_API_NONE && !call->is_open) open_earlier(call);
}

static void answer_published(struct qb_call *call, int status)
{
    char id[QB_ID_TEXT_BYTES];

    qb_id_text(call->listing->id, id);
    qb_call_head(call, "Location: /api/auctions/%s\r\n", id);
    qb_text_string(&call->text, "{");
    if (status == 202) qb_text_json_text(&call->text, "verdict", "pending");
    qb_text_json_name(&call->text, "auction");
    qb_text_string(&call->text, "{");
    if (!call->is_open) call->listing->status = QB_STATUS_OPEN;
    qb_listing_json(&call->text, call->listing, call->user.name, qb_clock_even_us());
    qb_text_string(&call->text, "}}");
    call->status = status;
    const struct qb_http_response response = {
        .status = status,
        .content_type = "application/json",
        .headers = call->head,
        .body = call->text.bytes,
        .length = call->text.length,
    };
    qb_http_respond(call->request, &response);
    call->request = NULL;
}

static void published(void *context, const struct qb_answer *answer)
{
    struct qb_call *call = context;
    struct qb_problem problem;

    if (call->request != NULL && answer->reply == QB_REPLY_PENDING && !answer->is_unknown_auction) {
        answer_published(call, 202);
        return;
    }
    if (call->request == NULL) { /* answered with 202 already */
        if (answer->reply != QB_REPLY_PENDING) qb_call_free(call);
        return;
    }
    if (qb_answer_is_good(answer) && answer->reply == QB_REPLY_VERDICT) {
        answer_published(call, 201);
        qb_call_free(call);
        return;
    }
    qb_answer_problem(answer, &problem);
    (void)qb_error_set(&call->detail, "The auction was not opened: %s", problem.text);
    call->wait_us = answer->retry_after_ms * QB_MS_US;
    qb_call_fail(call, QB_API_UNAVAILABLE);
    qb_call_answer(call);
}

void qb_api_publish(struct qb_call *call)
{
    struct qb_entry open = {
        .auction = call->listing->id,
        .type = QB_ENTRY_OPEN,
        .by = QB_ACTOR_SELLER,
        .actor = call->user.id,
        .max = QB_AMOUNT_NONE,
        .allowance = -1,
        .rules = call->rules,
    };

    if (call->is_open) {
        answer_published(call, 201);
        qb_call_free(call);
        return;
    }
    qb_bid_id(open.auction, 0, OPEN_KEY, strlen(OPEN_KEY), open.bid_id);
    qb_runner_command(call->api->options.runner, &open, qb_http_arrived_us(call->request),
                      published, call);
}
