-- For wrk (https://github.com/wg/wrk/blob/master/SCRIPTING): posts the bodies of a file, one a
-- line, in turn, and ends with what it found as a line of JSON. Durations are in microseconds.

local requests, sent = {}, 0

function init(args)
   wrk.method = "POST"
   for body in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
   end
end

function request()
   sent = sent + 1
   return requests[sent % #requests + 1]
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   print(string.format(
      '{"requests": %d, "duration": %d, "failed": %d, "ms": [%f, %f, %f, %f, %f]}',
      summary.requests, summary.duration, failed,
      latency:percentile(50) / 1000, latency:percentile(90) / 1000,
      latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
end
