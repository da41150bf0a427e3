package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// logger writes log lines as the contract wants them.
type logger struct {
	mu  sync.Mutex
	out io.Writer // guarded by mu
}

func (l *logger) line(level, message, exportID string) {
	line := map[string]string{
		"@level": level, "@message": message, "@timestamp": time.Now().Format(time.RFC3339Nano),
	}
	if exportID != "" {
		line["export_id"] = exportID
	}
	text, err := json.Marshal(line)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(append(text, '\n'))
}
