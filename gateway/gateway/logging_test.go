package gateway

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLogsTellDurationsInSeconds(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger(&Config{LogLevel: "info", LogFormat: "json"}, &out)
	log.Info("done", "took", 1500*time.Millisecond)
	if !strings.Contains(out.String(), `"took":1.5`) {
		t.Errorf("logged %s", out.String())
	}
}
