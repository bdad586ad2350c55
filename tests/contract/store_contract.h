/*
 * What every store must do. The subject says how to make an empty one.
 */
#pragma once

#include "storage/store.h"

struct store_subject {
    const char *name;
    struct qb_store_link *(*open)(void); /* to a new, empty store */
    const struct qb_store_ops *(*ops)(void);
    void (*close)(struct qb_store_link **link); /* and what open made */
};

void store_contract(const struct store_subject *subject);
