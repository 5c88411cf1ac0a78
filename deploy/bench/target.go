package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// target is a server to measure.
type target struct {
	name string
	addr string // "host:port" or "unix:/path"
	own  []int  // ids of its processes; their descendants count with them
	db   []int  // likewise of the database servers that work for it
}

// parseTarget reads NAME=ADDRESS[,pid=N][,db=N]; pid and db may stand several times.
func parseTarget(text string) (target, error) {
	name, rest, ok := strings.Cut(text, "=")
	parts := strings.Split(rest, ",")
	if !ok || name == "" || parts[0] == "" {
		return target{}, errors.New("want NAME=ADDRESS[,pid=N][,db=N]")
	}
	t := target{name: name, addr: parts[0]}
	for _, part := range parts[1:] {
		kind, number, _ := strings.Cut(part, "=")
		pid, err := strconv.Atoi(number)
		switch {
		case err != nil || pid <= 0:
			return target{}, fmt.Errorf("%q holds no process id", part)
		case kind == "pid":
			t.own = append(t.own, pid)
		case kind == "db":
			t.db = append(t.db, pid)
		default:
			return target{}, fmt.Errorf("%q is neither pid=N nor db=N", part)
		}
	}
	return t, nil
}

const procRoot = "/proc"

func (t *target) usage() usage {
	return usage{own: cpuOf(procRoot, t.own), db: cpuOf(procRoot, t.db)}
}

func (t *target) peak() peak {
	return peak{Target: t.name, Own: peakOf(procRoot, t.own), Database: peakOf(procRoot, t.db)}
}
