/*
 * list.h: intrusive doubly linked list.
 *
 * A node belongs to at most one list; list_del leaves it self-linked, so deleting twice is harmless
 * and list_empty(&node) tells whether it is on a list.
 */
#ifndef GW_COMMON_LIST_H
#define GW_COMMON_LIST_H

#include "common/base.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node);
}

static inline void list_del(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
/* The body may delete the current node, nothing else. */
#define list_foreach(it, head)                                                                     \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

#endif
