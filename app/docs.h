/*
 * The command `quickbid docs`: tables of the documents, made from the program's own tables.
 */
#pragma once

#include "base/text.h"

/* Writes `part` ("settings", "metrics", "protocol", "refusals", "closes", "problems"). False for
 * others. */
bool qb_docs_write(const char *part, struct qb_text *text);

/* The same to standard output. Returns the exit code. */
int qb_docs_print(const char *part);
