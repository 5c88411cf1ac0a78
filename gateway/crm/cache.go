package crm

import (
	"container/list"
	"sync"
	"time"

	"ticketgate/threading"
)

// cache keeps the answers that were used last, found or not, each until its
// time is over. It is safe for concurrent use.
type cache struct {
	limit int

	mu    sync.Mutex
	order *list.List               // of *kept, the one used last in front; guarded by mu
	byKey map[string]*list.Element // guarded by mu
}

type kept struct {
	key   string
	found []threading.DirectoryContact // none: the CRM knows nobody
	until time.Time
}

func newCache(limit int) *cache {
	return &cache{limit: limit, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *cache) get(key string, now time.Time) ([]threading.DirectoryContact, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	k := e.Value.(*kept)
	if !now.Before(k.until) {
		c.drop(e)
		return nil, false
	}
	c.order.MoveToFront(e)
	return k.found, true
}

func (c *cache) put(key string, found []threading.DirectoryContact, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
	c.byKey[key] = c.order.PushFront(&kept{key, found, until})
	if c.order.Len() > c.limit {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) { delete(c.byKey, c.order.Remove(e).(*kept).key) }
