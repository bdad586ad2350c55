/*
 * Auctions: the lists, the catalogue, the state.
 */
#include <stdlib.h>
#include <string.h>

#include "app/api_parts.h"
#include "app/auction_form.h"
#include "app/listing_json.h"
#include "app/state_json.h"
#include "base/assert.h"
#include "base/map.h"

#define SOME_MINUTES "public, max-age=300"
#define DIGEST_BYTES 16

/* A list on its way: names that were looked up already, and where the next page begins. */
struct list {
    struct qb_listing rows[QB_PAGE_ROWS_MAX];
    int64_t keys[QB_PAGE_ROWS_MAX];
    size_t count;
    size_t wanted;
    bool is_more;
};

static bool take_row(void *context, const struct qb_listing *listing, int64_t key)
{
    struct list *list = context;

    if (list->count == list->wanted) {
        list->is_more = true;
        return false;
    }
    list->rows[list->count] = *listing;
    list->keys[list->count++] = key;
    return true;
}

/* The seller's name; that of a row before with the same seller costs no second look. */
static const char *name_of(struct qb_call *call, struct qb_store_link *link, struct qb_map *names,
                           qb_id seller)
{
    struct qb_user user = {0};
    struct qb_error error = {""};
    char *name = qb_map_get(names, &seller);

    if (name != NULL) return name;
    enum qb_store_result found = qb_call_ops(call)->user_by_id(link, seller, &user, &error);
    (void)qb_call_stored(call, found, "user_by_id", &error);
    name = strdup(user.name);
    QB_ASSERT(name != NULL);
    (void)qb_map_set(names, &seller, name);
    return name;
}

static void free_names(struct qb_map *names)
{
    size_t cursor = 0;

    for (char *name = qb_map_next(names, &cursor, NULL); name != NULL;
         name = qb_map_next(names, &cursor, NULL))
        free(name);
    qb_map_fini(names);
}

static void list_json(struct qb_call *call, struct qb_store_link *link, const struct list *list,
                      void (*more)(struct qb_call *, struct qb_store_link *,
                                   const struct qb_listing *))
{
    struct qb_text *text = &call->text;
    struct qb_map names;
    const qb_time_us now_us = qb_clock_even_us();

    qb_map_init(&names, sizeof(qb_id));
    qb_text_string(text, "{\"auctions\":[");
    for (size_t i = 0; i < list->count; i++) {
        const struct qb_listing *listing = &list->rows[i];
        qb_text_string(text, i > 0 ? ",{" : "{");
        qb_listing_json(text, listing, name_of(call, link, &names, listing->seller), now_us);
        if (more != NULL) more(call, link, listing);
        qb_text_string(text, "}");
    }
    free_names(&names);
    qb_text_string(text, "]");
    size_t last = list->count > 0 ? list->count - 1 : 0;
    qb_page_next(text, list->is_more, list->keys[last], list->rows[last].id);
    qb_text_string(text, "}");
}

void qb_api_listings(struct qb_call *call, struct qb_store_link *link,
                     struct qb_listing_query *query,
                     void (*more)(struct qb_call *call, struct qb_store_link *link,
                                  const struct qb_listing *listing))
{
    struct list *list = calloc(1, sizeof *list);
    struct qb_error error = {""};

    QB_ASSERT(list != NULL);
    query->sort = call->page.sort;
    query->now_us = qb_clock_even_us();
    query->after_key = call->page.key;
    query->after_id = call->page.id;
    list->wanted = call->page.limit;
    query->rows_max = list->wanted + 1; /* one more tells whether there is a next page */
    enum qb_store_result found = qb_call_ops(call)->listings(link, query, take_row, list, &error);
    /* The store gives no more than this; a page as long may be the last one. */
    if (list->count == QB_PAGE_ROWS_MAX) list->is_more = true;
    if (qb_call_stored(call, found, "listings", &error)) list_json(call, link, list, more);
    free(list);
}

void qb_api_list_prepare(struct qb_call *call)
{
    (void)qb_page_listings(call);
}

void qb_api_list(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_page *page = &call->page;
    struct qb_listing_query query = {
        .search = page->search[0] != '\0' ? page->search : NULL,
        .category = page->category[0] != '\0' ? page->category : NULL,
        .currency = page->currency[0] != '\0' ? page->currency : NULL,
        .seller = page->seller,
        .phase = page->phase,
    };

    qb_api_listings(call, link, &query, NULL);
}

/* By the bytes. */
static void tag(struct qb_call *call)
{
    uint8_t digest[QB_SHA256_BYTES];
    char hex[DIGEST_BYTES * 2 + 1];

    qb_sha256_of(call->text.bytes, call->text.length, digest);
    qb_hex(digest, DIGEST_BYTES, hex);
    call->cache_control = SOME_MINUTES;
    qb_call_tag(call, hex);
}

void qb_api_catalogue(struct qb_call *call, struct qb_store_link *link)
{
    const struct qb_store_ops *ops = qb_call_ops(call);
    struct qb_listing listing;
    struct qb_user seller = {0};
    struct qb_lot lot;
    struct qb_error error = {""};

    enum qb_store_result found = ops->listing(link, call->id, &listing, &error);
    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (!qb_call_stored(call, found, "listing", &error)) return;
    found = ops->user_by_id(link, listing.seller, &seller, &error);
    if (found != QB_STORE_NOT_FOUND && !qb_call_stored(call, found, "user_by_id", &error)) return;
    found = ops->state(link, call->id, &lot, &error);
    if (found != QB_STORE_NOT_FOUND && !qb_call_stored(call, found, "state", &error)) return;
    qb_text_string(&call->text, "{\"auction\":");
    qb_catalogue_json(&call->text, &listing, seller.name, found == QB_STORE_OK ? &lot : NULL);
    qb_text_string(&call->text, "}");
    if (found == QB_STORE_OK) tag(call); /* without rules it is not whole yet */
}

static void archived_state(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_lot lot;
    struct qb_error error = {""};
    enum qb_store_result found = qb_call_ops(call)->state(link, call->id, &lot, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (qb_call_stored(call, found, "state", &error)) qb_state_archived_json(&call->text, &lot);
}

static void run_archived(void *job, void *worker)
{
    struct qb_call *call = job;

    if (!qb_call_is_late(call)) archived_state(call, worker);
}

static void end_archived(void *job)
{
    qb_call_answer(job);
}

static void state_found(void *context, struct qb_frame *state)
{
    struct qb_call *call = context;

    if (state == NULL) {
        qb_call_submit(call, call->api->options.store_pool, run_archived, end_archived);
        return;
    }
    const struct qb_http_response response = {
        .status = 200, .content_type = "application/json", .frame = state};
    qb_http_respond(call->request, &response);
    qb_call_free(call);
}

void qb_api_state(struct qb_call *call)
{
    qb_runner_state(call->api->options.runner, call->id, state_found, call);
}
