/*
 * conf_dangling.c: names that no section has, told beside the errors inside sections.
 *
 * conf_resolve.c finds them too, and more, but only where every section could be read. Here a
 * section counts by its head, whatever is wrong below it, so that no error follows from another.
 */
#include "common/conf_build.h"

static struct slice id_of(struct build *b, enum conf_section kind, struct slice name)
{
    return conf_printf(b->scratch, "%s:%.*s", conf_section_info(kind)->name, SLICE_FMT(name));
}

static void add_name(struct build *b, struct conf_map *names, enum conf_section kind,
                     struct slice name)
{
    conf_map_put(names, id_of(b, kind, name), 0);
}

static bool has_name(struct build *b, const struct conf_map *names, enum conf_section kind,
                     struct slice name)
{
    return conf_map_get(names, id_of(b, kind, name)) != CONF_MAP_NONE;
}

static void want(struct build *b, const struct conf_map *names, enum conf_section kind,
                 struct slice name, const struct section *s, const char *key)
{
    if (name.n && !has_name(b, names, kind, name))
        build_error(b, build_entry(b, s, key), "there is no [%s:%.*s]",
                    conf_section_info(kind)->name, SLICE_FMT(name));
}

static void check_model(struct build *b, const struct conf_map *names, const struct section *s)
{
    const struct raw_model *r = s->raw;
    for (uint32_t i = 0; i < r->targets.n; i++)
        want(b, names, CONF_SECTION_PROVIDER, r->targets.v[i].provider, s, "targets");
    for (uint32_t i = 0; i < r->fallback.n; i++)
        want(b, names, CONF_SECTION_MODEL, r->fallback.v[i], s, "fallback");
}

static void check_key(struct build *b, const struct conf_map *names, const struct section *s)
{
    const struct raw_key *r = s->raw;
    want(b, names, CONF_SECTION_TEAM, r->team, s, "team");
    for (uint32_t i = 0; i < r->models.n; i++) {
        struct slice rest = r->models.v[i], provider = slice_split(&rest, '/');
        if (!rest.n || !has_name(b, names, CONF_SECTION_PROVIDER, provider))
            want(b, names, CONF_SECTION_MODEL, r->models.v[i], s, "models");
    }
}

static void check_section(struct build *b, const struct conf_map *names, const struct section *s)
{
    switch (s->kind) {
    case CONF_SECTION_GATEWAY:
        want(b, names, CONF_SECTION_MODEL, b->conf->gateway.default_model, s, "default_model");
        want(b, names, CONF_SECTION_PROVIDER, b->conf->gateway.relay_provider, s, "relay_provider");
        break;
    case CONF_SECTION_CREDENTIAL:
        want(b, names, CONF_SECTION_PROVIDER, ((struct raw_credential *)s->raw)->provider, s,
             "provider");
        break;
    case CONF_SECTION_MODEL:
        check_model(b, names, s);
        break;
    case CONF_SECTION_TEAM:
        for (uint32_t i = 0; i < ((struct raw_team *)s->raw)->models.n; i++)
            want(b, names, CONF_SECTION_MODEL, ((struct raw_team *)s->raw)->models.v[i], s,
                 "models");
        break;
    case CONF_SECTION_KEY:
        check_key(b, names, s);
        break;
    default:
        break;
    }
}

void conf_check_dangling(struct build *b)
{
    struct conf_map names;
    uint32_t n = b->n_sections;
    for (uint32_t i = 0; i < b->n_sections; i++)
        if (b->sections[i].kind == CONF_SECTION_MODEL)
            n += ((struct raw_model *)b->sections[i].raw)->pub.aliases.n;
    conf_map_init(&names, b->scratch, n);
    for (uint32_t i = 0; i < b->n_sections; i++) {
        const struct section *s = &b->sections[i];
        add_name(b, &names, s->kind, s->name);
        if (s->kind != CONF_SECTION_MODEL)
            continue;
        const struct conf_slices *aliases = &((struct raw_model *)s->raw)->pub.aliases;
        for (uint32_t a = 0; a < aliases->n; a++)
            add_name(b, &names, s->kind, aliases->v[a]);
    }
    for (uint32_t i = 0; i < b->n_sections; i++)
        check_section(b, &names, &b->sections[i]);
}
