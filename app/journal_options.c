#include "app/journal_options.h"

struct qb_journal_rabbit_options qb_journal_options(const struct qb_settings *settings,
                                                    unsigned shards)
{
    const char *ca_file = settings->rabbitmq_ca_file;

    return (struct qb_journal_rabbit_options){
        .urls = settings->rabbitmq_url,
        .ca_file = ca_file[0] != '\0' ? ca_file : NULL,
        .prefix = settings->rabbitmq_prefix,
        .shards = shards,
        .waiting_bytes_max = (size_t)settings->journal_waiting_bytes,
        .prefetch = (uint16_t)settings->rabbitmq_prefetch,
    };
}
