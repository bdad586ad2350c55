/*
 * Attributes of the compiler under names of our own, and the scalar types that every folder shares.
 */
#pragma once

#include <stdint.h>

#define QB_MUST_USE            __attribute__((warn_unused_result))
#define QB_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define QB_NORETURN            __attribute__((noreturn))
/* Calls `function` with the address of the variable when it goes out of scope. */
#define QB_CLEANUP(function)   __attribute__((cleanup(function)))

#define QB_COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef int64_t qb_time_us; /* microseconds since 1970-01-01 UTC, of the clock that its name says */
typedef uint64_t qb_id;     /* at most 63 bits; 0 is nobody and nothing */
