package enrichment

import "sync"

// CacheBytes limits the cache of enrichments, to about what five reports of
// 750 vulnerabilities each look up.
const CacheBytes = 6 << 20

// cache is a cache of the enrichments that were looked up last, because
// reports look up the same ones again and again: images share their bases, and
// are requested repeatedly. The view of an operation never changes, so nothing
// in the cache is ever wrong; the entries of older operations are replaced by
// those of newer ones.
type cache struct {
	mu sync.Mutex
	// Results are added to young. When it holds half of the limit, it becomes
	// old, and the previous old is dropped.
	young, old map[cacheKey][]tagged
	size       int // of young, in bytes
}

type cacheKey struct {
	View
	tag string
}

// get returns the cached rows of tags, and the tags that are not cached.
func (c *cache) get(v View, tags []string) (rows []tagged, unknown []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tag := range tags {
		k := cacheKey{v, tag}
		list, ok := c.young[k]
		if !ok {
			if list, ok = c.old[k]; ok {
				c.keep(k, list)
			}
		}
		if !ok {
			unknown = append(unknown, tag)
		}
		rows = append(rows, list...)
	}
	return rows, unknown
}

// put adds all rows of tags in a view, possibly none.
func (c *cache) put(v View, tags []string, rows []tagged) {
	byTag := make(map[string][]tagged, len(tags))
	for _, row := range rows {
		byTag[row.tag] = append(byTag[row.tag], row)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tag := range tags {
		c.keep(cacheKey{v, tag}, byTag[tag])
	}
}

// keep adds a tag's rows to young. mu is held.
func (c *cache) keep(k cacheKey, rows []tagged) {
	const entry, perRow = 160, 160 // what maps, slices and strings take, roughly
	size := entry + 2*len(k.tag)
	for _, row := range rows {
		size += perRow + len(row.tag) + cap(row.Enrichment)
		for _, t := range row.Tags {
			size += len(t) + 16
		}
	}
	if c.size += size; c.young == nil || c.size > CacheBytes/2 {
		c.old, c.young, c.size = c.young, map[cacheKey][]tagged{}, size
	}
	c.young[k] = rows
}
