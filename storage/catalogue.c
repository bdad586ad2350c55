#include "storage/catalogue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/metrics.h"

struct entry {
    qb_id auction;
    struct qb_frame *frame; /* null: only `least` is known */
    uint64_t least;         /* older versions are outdated */
    int64_t loaded_us;
    struct entry *newer; /* in a ring through the catalogue's own entry, by when it was asked for */
    struct entry *older;
};

/* A load under way; lives in its loader's call, which ends after the last who waits. */
struct flight {
    qb_id auction;
    struct qb_frame *frame;
    unsigned waiting;
    bool is_over;
    bool is_forgotten;
    bool is_outdated; /* a change is known that it lacks */
    struct flight *next;
};

struct qb_catalogue {
    struct qb_catalogue_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a flight is over, or has one less that waits */
    struct qb_map entries;
    struct entry ends; /* .older is the newest, .newer the oldest */
    struct flight *flights;
};

struct qb_catalogue *qb_catalogue_new(const struct qb_catalogue_options *options)
{
    struct qb_catalogue *catalogue = calloc(1, sizeof *catalogue);

    QB_ASSERT(catalogue != NULL);
    QB_ASSERT(options->entries_max > 0);
    QB_ASSERT(options->life_us > 0);
    catalogue->options = *options;
    (void)pthread_mutex_init(&catalogue->lock, NULL);
    (void)pthread_cond_init(&catalogue->changed, NULL);
    qb_map_init(&catalogue->entries, sizeof(qb_id));
    catalogue->ends.newer = catalogue->ends.older = &catalogue->ends;
    return catalogue;
}

static void unlink_entry(struct entry *entry)
{
    entry->newer->older = entry->older;
    entry->older->newer = entry->newer;
}

static void link_newest(struct qb_catalogue *catalogue, struct entry *entry)
{
    entry->newer = &catalogue->ends;
    entry->older = catalogue->ends.older;
    entry->older->newer = entry;
    catalogue->ends.older = entry;
}

static void drop(struct qb_catalogue *catalogue, struct entry *entry)
{
    (void)qb_map_remove(&catalogue->entries, &entry->auction);
    unlink_entry(entry);
    qb_frame_free(&entry->frame);
    free(entry);
}

void qb_catalogue_free(struct qb_catalogue **catalogue)
{
    struct qb_catalogue *old = *catalogue;

    *catalogue = NULL;
    if (old == NULL) return;
    QB_ASSERT(old->flights == NULL);
    while (old->ends.older != &old->ends) drop(old, old->ends.older);
    qb_map_fini(&old->entries);
    (void)pthread_cond_destroy(&old->changed);
    (void)pthread_mutex_destroy(&old->lock);
    free(old);
}

static void count_entries(const struct qb_catalogue *catalogue)
{
    qb_metric_set(QB_METRIC_catalogue_entries, NULL, (int64_t)catalogue->entries.count);
}

/* The entry of `auction`, perhaps a new one, as the newest. */
static struct entry *entry_of(struct qb_catalogue *catalogue, qb_id auction)
{
    struct entry *entry = qb_map_get(&catalogue->entries, &auction);

    if (entry != NULL) {
        unlink_entry(entry);
        link_newest(catalogue, entry);
        return entry;
    }
    if (catalogue->entries.count == catalogue->options.entries_max) {
        drop(catalogue, catalogue->ends.newer);
        qb_metric_add(QB_METRIC_catalogue_dropped_total, "full", 1);
    }
    entry = calloc(1, sizeof *entry);
    QB_ASSERT(entry != NULL);
    entry->auction = auction;
    link_newest(catalogue, entry);
    (void)qb_map_set(&catalogue->entries, &auction, entry);
    count_entries(catalogue);
    return entry;
}

/* False: a change is known that it lacks. */
static bool keep(struct qb_catalogue *catalogue, qb_id auction, struct qb_frame *frame,
                 uint64_t version, int64_t now_us)
{
    struct entry *entry = entry_of(catalogue, auction);

    if (version < entry->least) return false;
    qb_frame_free(&entry->frame);
    entry->frame = qb_frame_hold(frame);
    entry->least = version; /* a replica that is behind brings no older one */
    entry->loaded_us = now_us;
    return true;
}

static struct qb_frame *find_kept(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                  int64_t *age_us)
{
    struct entry *entry = qb_map_get(&catalogue->entries, &auction);

    if (entry == NULL || entry->frame == NULL) return NULL;
    *age_us = now_us - entry->loaded_us;
    if (*age_us >= catalogue->options.life_us) return NULL;
    unlink_entry(entry);
    link_newest(catalogue, entry);
    return qb_frame_hold(entry->frame);
}

static struct flight *find_flight(struct qb_catalogue *catalogue, qb_id auction)
{
    struct flight *flight = catalogue->flights;

    while (flight != NULL && (flight->auction != auction || flight->is_forgotten)) {
        flight = flight->next;
    }
    return flight;
}

static struct qb_frame *wait_for(struct qb_catalogue *catalogue, struct flight *flight,
                                 int64_t *age_us)
{
    flight->waiting++;
    while (!flight->is_over) (void)pthread_cond_wait(&catalogue->changed, &catalogue->lock);
    struct qb_frame *frame = flight->frame != NULL ? qb_frame_hold(flight->frame) : NULL;
    *age_us = flight->is_outdated ? -1 : 0;
    flight->waiting--;
    (void)pthread_cond_broadcast(&catalogue->changed);
    return frame;
}

/* Loads for all who ask meanwhile. Called and left with the lock, which it lets go of between. */
static struct qb_frame *load_for_all(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                     int64_t *age_us, qb_catalogue_load *load, void *context)
{
    struct flight flight = {.auction = auction, .next = catalogue->flights};
    struct flight **at = &catalogue->flights;
    uint64_t version = 0;

    /* cppcheck-suppress autoVariables ; taken off the list before this returns */
    catalogue->flights = &flight;
    (void)pthread_mutex_unlock(&catalogue->lock);
    flight.frame = load(context, auction, &version);
    (void)pthread_mutex_lock(&catalogue->lock);
    while (*at != &flight) at = &(*at)->next;
    *at = flight.next;
    flight.is_over = true;
    (void)pthread_cond_broadcast(&catalogue->changed);
    if (flight.frame != NULL && version > 0) {
        flight.is_outdated =
            flight.is_forgotten || !keep(catalogue, auction, flight.frame, version, now_us);
    }
    *age_us = flight.is_outdated ? -1 : 0;
    while (flight.waiting > 0) (void)pthread_cond_wait(&catalogue->changed, &catalogue->lock);
    /* cppcheck-suppress returnDanglingLifetime ; a frame is its own */
    return flight.frame;
}

struct qb_frame *qb_catalogue_get(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                  int64_t *age_us, qb_catalogue_load *load, void *context)
{
    const char *result = "hit";
    uint64_t version = 0;

    (void)pthread_mutex_lock(&catalogue->lock);
    struct qb_frame *frame = find_kept(catalogue, auction, now_us, age_us);
    struct flight *flight = frame == NULL ? find_flight(catalogue, auction) : NULL;
    if (flight != NULL) {
        result = "shared";
        frame = wait_for(catalogue, flight, age_us);
    } else if (frame == NULL) {
        result = "loaded";
        frame = load_for_all(catalogue, auction, now_us, age_us, load, context);
    }
    (void)pthread_mutex_unlock(&catalogue->lock);
    /* What failed for another may work for this caller, or tells it why not. */
    if (frame == NULL && flight != NULL) {
        result = "loaded";
        *age_us = -1;
        frame = load(context, auction, &version);
    }
    qb_metric_add(QB_METRIC_catalogue_reads_total, result, 1);
    /* cppcheck-suppress returnDanglingLifetime ; the frame does not keep it */
    return frame;
}

struct qb_frame *qb_catalogue_find(struct qb_catalogue *catalogue, qb_id auction, int64_t now_us,
                                   int64_t *age_us)
{
    (void)pthread_mutex_lock(&catalogue->lock);
    struct qb_frame *frame = find_kept(catalogue, auction, now_us, age_us);
    (void)pthread_mutex_unlock(&catalogue->lock);
    if (frame != NULL) qb_metric_add(QB_METRIC_catalogue_reads_total, "hit", 1);
    return frame;
}

void qb_catalogue_forget(struct qb_catalogue *catalogue, qb_id auction, uint64_t version)
{
    (void)pthread_mutex_lock(&catalogue->lock);
    struct flight *flight = find_flight(catalogue, auction);
    struct entry *entry = entry_of(catalogue, auction);
    if (entry->least < version) {
        if (entry->frame != NULL) qb_metric_add(QB_METRIC_catalogue_dropped_total, "changed", 1);
        qb_frame_free(&entry->frame);
        entry->least = version;
        if (flight != NULL) flight->is_forgotten = true;
    }
    (void)pthread_mutex_unlock(&catalogue->lock);
}

void qb_catalogue_forget_all(struct qb_catalogue *catalogue)
{
    (void)pthread_mutex_lock(&catalogue->lock);
    for (struct entry *entry = catalogue->ends.older; entry != &catalogue->ends;
         entry = entry->older) {
        qb_frame_free(&entry->frame); /* what is outdated is known on */
    }
    for (struct flight *flight = catalogue->flights; flight != NULL; flight = flight->next) {
        flight->is_forgotten = true;
    }
    (void)pthread_mutex_unlock(&catalogue->lock);
}
