/*
 * token_xml.h: as much of XML as STS speaks. Pure.
 */
#ifndef GW_KEEPER_TOKEN_XML_H
#define GW_KEEPER_TOKEN_XML_H

#include "common/slice.h"

/* The text of the first element at that path ("A/B/C"), its five entities resolved. The length, or
 * -1: no such element, longer than cap, or the text is no XML of the plain kind that AWS sends:
 * elements, attributes, texts; no comments, CDATA or document type. */
GW_MUSTUSE int token_xml_text(struct slice xml, const char *path, char *out, size_t cap);

#endif
