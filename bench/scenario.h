/*
 * The scenarios of the load client. Each prints one JSON object on standard output.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/swarm.h"

#define QB_LISTED_MAX 4000

struct qb_load_options {
    uint16_t ports[QB_PORTS_MAX]; /* of replicas; the first one, where there is one server */
    size_t port_count;
    int pid;            /* of the server; 0 where there are several */
    size_t connections; /* watchers, idle or HTTP connections */
    double seconds;
    double rate;    /* bids a second; 0: one update in flight */
    int64_t base;   /* maxima begin above this */
    size_t bids;    /* so many, instead of `seconds` */
    size_t window;  /* bids under way, without a rate */
    size_t burst;   /* bids to one replica before the next one's turn */
    bool is_streak; /* each burst is of one account, which raises its own maximum */
    bool must_watch;
    const char *acknowledged; /* a file for what was accepted; null: none */
    const char *path;
    size_t token_count;
    size_t auction_count;
    const char *tokens[QB_LISTED_MAX];
    const char *auctions[QB_LISTED_MAX];
};

/* Memory of an idle connection; handshakes and an inbound message at 0, half and all of them. */
void qb_scenario_connections(const struct qb_load_options *options);

/* All watch one auction whose price changes. */
void qb_scenario_watch(const struct qb_load_options *options);

/* Bids at a fixed rate; times count from when a bid was meant to leave, not from when it did. */
void qb_scenario_bid(const struct qb_load_options *options);

/* Bids to several replicas at a rate, or as fast as they are answered; how far their updates are
 * apart. Bids without an answer are told, not waited for. */
void qb_scenario_replicas(const struct qb_load_options *options);

/* One bid to each auction, again and again until it is accepted: how long the last one takes. */
void qb_scenario_comeback(const struct qb_load_options *options);

/* GET of one path, over and over on every connection. */
void qb_scenario_http(const struct qb_load_options *options);
