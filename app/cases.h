/*
 * The command `quickbid cases FILE`: runs a file of worked auction cases (format
 * quickbid-auction-cases/1: event cases, price vectors, clock cases, payment cases).
 */
#pragma once

/* Prints each failing case with what was expected and seen, closes with "N passed, N failed".
 * Returns 0 when all pass, 1 when some fail, 2 when the file cannot be read. */
int qb_cases_run(const char *path);
