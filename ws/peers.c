/*
 * Who is at the other end: the socket's peer, or whom a trusted proxy names; and how many
 * connections each address has.
 */
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "ws/forwarded.h"
#include "ws/server_parts.h"

/* Connections by address, over all threads; an address leaves with its last connection, so that
 * the table is as large as what is open. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct qb_map addresses;
static bool has_addresses;

void qb_peer_of(const struct qb_ip *ip, struct qb_peer *peer)
{
    (void)memset(peer, 0, sizeof *peer);
    qb_ip_text(ip, peer->address);
    qb_ip_key(ip, peer->key);
    peer->is_loopback = qb_ip_is_loopback(ip);
}

bool qb_peer_enter(const struct qb_peer *peer, uint32_t most)
{
    (void)pthread_mutex_lock(&lock);
    if (!has_addresses) qb_map_init(&addresses, sizeof peer->key);
    has_addresses = true;
    uintptr_t count = (uintptr_t)qb_map_get(&addresses, peer->key);
    bool is_in = count < most;
    if (is_in) (void)qb_map_set(&addresses, peer->key, (void *)(count + 1));
    (void)pthread_mutex_unlock(&lock);
    return is_in;
}

void qb_peer_leave(const struct qb_peer *peer)
{
    (void)pthread_mutex_lock(&lock);
    uintptr_t count = (uintptr_t)qb_map_get(&addresses, peer->key);
    QB_ASSERT(count > 0);
    if (count > 1)
        (void)qb_map_set(&addresses, peer->key, (void *)(count - 1));
    else
        (void)qb_map_remove(&addresses, peer->key);
    if (addresses.count == 0) { /* nothing is kept for nobody */
        qb_map_fini(&addresses);
        has_addresses = false;
    }
    (void)pthread_mutex_unlock(&lock);
}

bool qb_peer_behind(const struct qb_ip_ranges *proxies, const struct qb_http_head *head,
                    const char *bytes, struct qb_peer *peer)
{
    struct qb_forwarded forwarded = {0};

    for (uint32_t i = head->field_count; i > 0; i--) {
        const struct qb_http_field *field = &head->fields[i - 1];
        if (strcmp(&bytes[field->name.at], "x-forwarded-for") != 0) continue;
        if (!qb_forwarded_read(&forwarded, proxies, &bytes[field->value.at], field->value.length))
            return false;
    }
    if (!forwarded.has_client) return true;
    qb_peer_of(&forwarded.client, peer);
    peer->is_loopback = false; /* who comes through a proxy is not on this machine */
    return true;
}
