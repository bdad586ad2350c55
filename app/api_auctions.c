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
#include "storage/catalogue.h"

#define SOME_MINUTES "public, max-age=300"
#define TAG_BYTES    32

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

/* A description as the cache keeps it: the tag of its bytes in hex, then the bytes. Of no position:
 * it is not whole yet. That one and an outdated one are nobody's to keep. */
static void answer_described(struct qb_call *call, const struct qb_frame *frame, int64_t age_us)
{
    char tag[TAG_BYTES + 1];

    QB_ASSERT(frame->length > TAG_BYTES);
    (void)memcpy(tag, frame->bytes, TAG_BYTES);
    tag[TAG_BYTES] = '\0';
    qb_text_add(&call->text, (const char *)frame->bytes + TAG_BYTES, frame->length - TAG_BYTES);
    if (frame->position == 0 || age_us < 0) return;
    call->cache_control = SOME_MINUTES;
    /* Time that it has been in our cache is time less in theirs (RFC 9111, 5.1). */
    if (age_us >= QB_SECOND_US)
        qb_call_head(call, "Age: %lld\r\n", (long long)(age_us / QB_SECOND_US));
    qb_call_tag(call, tag);
}

void qb_api_catalogue_prepare(struct qb_call *call)
{
    int64_t age_us = 0;
    struct qb_frame *frame =
        qb_catalogue_find(call->api->options.catalogue, call->id, qb_clock_mono_us(), &age_us);

    qb_call_keep_tags(call);
    if (frame == NULL) return;
    answer_described(call, frame, age_us);
    call->is_ready = true;
    qb_frame_free(&frame);
}

static struct qb_frame *described(const struct qb_text *text, uint64_t version)
{
    uint8_t digest[QB_SHA256_BYTES];
    char hex[TAG_BYTES + 1];
    struct qb_text whole = {0};

    qb_sha256_of(text->bytes, text->length, digest);
    qb_hex(digest, TAG_BYTES / 2, hex);
    qb_text_add(&whole, hex, TAG_BYTES);
    qb_text_add(&whole, text->bytes, text->length);
    struct qb_frame *frame = whole.is_full ? NULL : qb_frame_new(whole.bytes, whole.length);
    qb_text_fini(&whole);
    if (frame != NULL) frame->position = version;
    return frame;
}

struct description {
    struct qb_call *call;
    struct qb_store_link *link;
};

/* Whole once there are rules; `version` is 0 until then. */
static struct qb_frame *describe(void *context, qb_id auction, uint64_t *version)
{
    const struct description *from = context;
    const struct qb_store_ops *ops = qb_call_ops(from->call);
    struct qb_listing listing;
    struct qb_user seller = {0};
    struct qb_lot lot;
    struct qb_error error = {""};
    QB_CLEANUP(qb_text_fini) struct qb_text text = {0};

    enum qb_store_result found = ops->listing(from->link, auction, &listing, &error);
    if (found == QB_STORE_NOT_FOUND) qb_call_fail(from->call, QB_API_NOT_FOUND);
    if (!qb_call_stored(from->call, found, "listing", &error)) return NULL;
    found = ops->user_by_id(from->link, listing.seller, &seller, &error);
    if (found != QB_STORE_NOT_FOUND && !qb_call_stored(from->call, found, "user_by_id", &error))
        return NULL;
    found = ops->state(from->link, auction, &lot, &error);
    if (found != QB_STORE_NOT_FOUND && !qb_call_stored(from->call, found, "state", &error))
        return NULL;
    /* The two come from different servers, maybe. */
    if (found == QB_STORE_OK)
        *version = listing.applied_seq < lot.seq ? listing.applied_seq : lot.seq;
    qb_text_string(&text, "{\"auction\":");
    qb_catalogue_json(&text, &listing, seller.name, found == QB_STORE_OK ? &lot : NULL);
    qb_text_string(&text, "}");
    return text.is_full ? NULL : described(&text, *version);
}

void qb_api_catalogue(struct qb_call *call, struct qb_store_link *link)
{
    struct description from = {call, link};
    int64_t age_us = 0;
    struct qb_frame *frame = qb_catalogue_get(call->api->options.catalogue, call->id,
                                              qb_clock_mono_us(), &age_us, describe, &from);

    if (frame == NULL && call->problem == QB_API_NONE) qb_call_fail(call, QB_API_INTERNAL);
    if (frame != NULL) answer_described(call, frame, age_us);
    qb_frame_free(&frame);
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
