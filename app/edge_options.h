/*
 * The limits of an edge as the settings say them, for every process that serves HTTP.
 */
#pragma once

#include "app/settings.h"
#include "ws/edge.h"

/* For one of `threads` edges, which share what is limited for all of the process together. Where it
 * listens, its loop and its handlers are the caller's to add. What it points to is the settings'.
 */
struct qb_edge_options qb_edge_options_of(const struct qb_settings *settings, unsigned threads);
