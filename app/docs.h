/*
 * The command `quickbid docs`: tables of the documents, made from the program's own tables,
 * and the descriptions of the API.
 */
#pragma once

#include "base/text.h"

struct qb_settings;

/* Writes `part` to standard output: a table of the documents, or "openapi" or "asyncapi". Returns
 * the exit code. */
int qb_docs_print(const char *part, const struct qb_settings *settings);
