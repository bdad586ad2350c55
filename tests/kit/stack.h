/*
 * Real servers for a contract test: what k8s/stack starts, in a folder of its own.
 *
 * One stack a program. It ends, and its folder goes, when the program ends, however that happens.
 * Whatever fails here ends the program with a message: a test cannot go on without its servers.
 */
#pragma once

#include <stdio.h>

/* Starts `parts` of k8s/stack, e.g. "redis-single postgres-single", and waits until they answer. */
void qb_stack_start(const char *parts);

/* The value of an exported name, e.g. "DATABASE_URL"; lives as long as the program. */
const char *qb_stack_value(const char *name);

/* Opens what a server has written to its log so far. */
FILE *qb_stack_log(const char *server);

/* kill -9 of one server, e.g. "redis-0"; has happened on return. */
void qb_stack_kill(const char *server);

/* Starts a killed server again, on the same port and data; it answers on return. */
void qb_stack_revive(const char *server);

/* Until Sentinel knows so many replicas, one of which it would promote: it asks for them at its
 * start, and then every ten seconds only. */
void qb_stack_await_replicas(int count);

/* Stops a server in its tracks: it keeps its sockets and answers nothing, until it is thawed. */
void qb_stack_freeze(const char *server);
void qb_stack_thaw(const char *server);

/* Removes the data of a killed server. */
void qb_stack_wipe(const char *server);

/* Runs RabbitMQ's own tool on the node, e.g. "set_vm_memory_high_watermark 0.4". */
void qb_stack_rabbitmqctl(const char *words);

/* Ends all; also done at exit. */
void qb_stack_stop(void);
