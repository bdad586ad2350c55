/*
 * One process for one data folder: a lock file that the kernel releases when its holder ends,
 * however it ends.
 */
#pragma once

#include "base/error.h"

/* Makes the folder (mode 0700) if needed and locks it. The descriptor to hold, or -1 with `error`
 * set, which names the process that has it. */
int qb_folder_lock(const char *folder, struct qb_error *error);
void qb_folder_unlock(int lock);
