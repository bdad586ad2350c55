/*
 * The Lua scripts of the ledger on Redis as they lie in storage/redis/, embedded at build time.
 */
#pragma once

extern const char qb_script_common[];
extern const char qb_script_append[];
extern const char qb_script_mark[];
extern const char qb_script_heads[];
extern const char qb_script_read[];
extern const char qb_script_safe[];
extern const char qb_script_sweep[];
extern const char qb_script_snapshot[];
extern const char qb_script_trim[];
extern const char qb_script_limits[];
extern const char qb_script_tally[];
