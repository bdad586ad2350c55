#include "app/ticket.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"

#define SECRET_BYTES 24

struct slot {
    uint8_t hash[QB_SHA256_BYTES];
    struct qb_identity identity;
    int64_t expires_us;
    bool is_open; /* neither used nor expired */
};

/* All tickets live equally long, so a ring in order of issue is also one in order of expiry. */
struct qb_tickets {
    pthread_mutex_t mutex;
    struct qb_map by_hash; /* hash -> open slot */
    struct slot *slots;
    size_t room;
    size_t first;
    size_t count;
};

struct qb_tickets *qb_tickets_new(size_t tickets_max)
{
    struct qb_tickets *tickets = calloc(1, sizeof *tickets);

    QB_ASSERT(tickets != NULL);
    QB_ASSERT(tickets_max > 0);
    tickets->slots = calloc(tickets_max, sizeof *tickets->slots);
    QB_ASSERT(tickets->slots != NULL);
    tickets->room = tickets_max;
    qb_map_init(&tickets->by_hash, QB_SHA256_BYTES);
    QB_ASSERT(pthread_mutex_init(&tickets->mutex, NULL) == 0);
    return tickets;
}

void qb_tickets_free(struct qb_tickets **tickets)
{
    if (*tickets == NULL) return;
    qb_map_fini(&(*tickets)->by_hash);
    (void)pthread_mutex_destroy(&(*tickets)->mutex);
    free((*tickets)->slots);
    free(*tickets);
    *tickets = NULL;
}

static void drop_old(struct qb_tickets *tickets, int64_t mono_us)
{
    while (tickets->count > 0) {
        struct slot *slot = &tickets->slots[tickets->first];
        if (slot->is_open && slot->expires_us > mono_us) return;
        if (slot->is_open) (void)qb_map_remove(&tickets->by_hash, slot->hash);
        slot->is_open = false;
        tickets->first = (tickets->first + 1) % tickets->room;
        tickets->count--;
    }
}

static size_t open_of(const struct qb_tickets *tickets, qb_id user)
{
    size_t open = 0;

    for (size_t i = 0; i < tickets->count; i++) {
        const struct slot *slot = &tickets->slots[(tickets->first + i) % tickets->room];
        if (slot->is_open && slot->identity.user == user) open++;
    }
    return open;
}

bool qb_tickets_issue(struct qb_tickets *tickets, const struct qb_identity *identity,
                      int64_t mono_us, char ticket[QB_TICKET_BYTES])
{
    uint8_t secret[SECRET_BYTES];
    bool has_room = false;

    (void)pthread_mutex_lock(&tickets->mutex);
    drop_old(tickets, mono_us);
    has_room =
        tickets->count < tickets->room && open_of(tickets, identity->user) < QB_TICKETS_OF_USER_MAX;
    if (has_room) {
        struct slot *slot = &tickets->slots[(tickets->first + tickets->count) % tickets->room];
        qb_random_secret(secret, sizeof secret);
        size_t length = qb_base64url(secret, sizeof secret, ticket);
        slot->identity = *identity;
        slot->expires_us = mono_us + QB_TICKET_LIFE_US;
        slot->is_open = true;
        qb_sha256_of(ticket, length, slot->hash);
        (void)qb_map_set(&tickets->by_hash, slot->hash, slot);
        tickets->count++;
    }
    (void)pthread_mutex_unlock(&tickets->mutex);
    return has_room;
}

bool qb_tickets_take(struct qb_tickets *tickets, const char *ticket, size_t length, int64_t mono_us,
                     struct qb_identity *identity)
{
    uint8_t hash[QB_SHA256_BYTES];
    bool is_good = false;

    if (length != QB_TICKET_BYTES - 1) return false;
    qb_sha256_of(ticket, length, hash);
    (void)pthread_mutex_lock(&tickets->mutex);
    struct slot *slot = qb_map_remove(&tickets->by_hash, hash);
    if (slot != NULL) {
        slot->is_open = false;
        is_good = slot->expires_us > mono_us;
        if (is_good) *identity = slot->identity;
    }
    (void)pthread_mutex_unlock(&tickets->mutex);
    return is_good;
}
