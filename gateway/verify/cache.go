package verify

import "container/list"

// maxCacheBytes bounds the memory of the cache whatever its entries hold.
const maxCacheBytes = 8 << 20

// cache keeps the answers that were used last. It isn't safe for concurrent
// use; the resolver's mu guards it. Answers that ran out stay until they are
// pushed out, for Last.
type cache struct {
	limit int
	bytes int
	order *list.List // of *cached, the one used last in front
	byKey map[string]*list.Element
}

type cached struct {
	key    string
	answer answer
}

func newCache(limit int) *cache {
	return &cache{limit: limit, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *cache) get(key string) (answer, bool) {
	e, ok := c.byKey[key]
	if !ok {
		return answer{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).answer, true
}

func (c *cache) put(key string, a answer) {
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
	c.byKey[key] = c.order.PushFront(&cached{key, a})
	c.bytes += a.size()
	for c.order.Len() > 1 && (c.order.Len() > c.limit || c.bytes > maxCacheBytes) {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	old := c.order.Remove(e).(*cached)
	delete(c.byKey, old.key)
	c.bytes -= old.answer.size()
}
