/*
 * The rules as canonical bytes, inside an OPEN entry and a stored state. Pure; any thread.
 */
#pragma once

#include "bidding/bytes.h"
#include "bidding/rules.h"

/* `is_public`: reserve and secret are left out. */
void qb_rules_put(struct qb_writer *writer, const struct qb_rules *rules, bool is_public);
void qb_rules_take(struct qb_reader *reader, struct qb_rules *rules);
