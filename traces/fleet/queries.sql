-- Questions to the tables that fleet.py writes, for Spark SQL and DuckDB alike. To DuckDB the tables are made known by
--   CREATE VIEW recordings AS SELECT * FROM read_parquet('OUT/recordings/*/*.parquet', hive_partitioning = true);
-- and the same for findings and vcpus; to Spark by
--   CREATE TEMPORARY VIEW recordings USING parquet OPTIONS (path 'OUT/recordings');
-- Kernels come in the order of their oldest recordings, by the time of the file's last change, which a copy may have lost, and
-- last where no server said one (null: not known): SQL does not know that 6.10 comes after 6.9.

-- verdicts: how was the night?
SELECT verdict, count(*) AS recordings FROM recordings GROUP BY verdict ORDER BY recordings DESC, verdict;

-- first_bad_kernel: for each correctness rule, the first kernel that broke it.
WITH kernels AS (
  SELECT release, build_id, min(modified) AS since FROM recordings GROUP BY release, build_id),
broken AS (
  SELECT f.rule, r.release, r.build_id, count(DISTINCT f.path) AS recordings
  FROM findings f JOIN recordings r ON r.path = f.path
  WHERE f.correctness AND r.verdict = 'findings' GROUP BY f.rule, r.release, r.build_id),
ranked AS (
  SELECT b.rule, b.release, b.build_id, b.recordings, k.since,
         row_number() OVER (PARTITION BY b.rule ORDER BY k.since NULLS LAST, b.build_id NULLS LAST) AS place
  FROM broken b JOIN kernels k ON k.build_id IS NOT DISTINCT FROM b.build_id AND k.release IS NOT DISTINCT FROM b.release)
SELECT rule, release, build_id, since, recordings FROM ranked WHERE place = 1 ORDER BY since NULLS LAST, rule;

-- new_findings_by_board: rules that a board has with its last kernel, and had with none before; of boards that had one. Kernels
-- of one time, and all that have none, come together: of two such none is before the other.
WITH kernels AS (
  SELECT board, release, build_id, min(modified) AS since FROM recordings
  WHERE release IS NOT NULL OR build_id IS NOT NULL GROUP BY board, release, build_id),
ranked AS (
  SELECT board, release, build_id, rank() OVER (PARTITION BY board ORDER BY since DESC NULLS FIRST) AS place FROM kernels),
boards AS (
  SELECT board FROM ranked GROUP BY board HAVING max(place) > 1),
broken AS (
  SELECT k.board, f.rule, max(k.place) AS place, count(DISTINCT f.path) AS recordings
  FROM findings f JOIN recordings r ON r.path = f.path
  JOIN ranked k ON k.board IS NOT DISTINCT FROM r.board AND k.build_id IS NOT DISTINCT FROM r.build_id
    AND k.release IS NOT DISTINCT FROM r.release
  WHERE f.correctness AND r.verdict = 'findings' GROUP BY k.board, f.rule)
SELECT b.board, b.rule, b.recordings FROM broken b JOIN boards o ON o.board IS NOT DISTINCT FROM b.board
WHERE b.place = 1 ORDER BY b.board NULLS FIRST, b.rule;

-- places: where in the kernel the broken rules are, worst first.
SELECT f.rule, f.severity, f.place, count(DISTINCT f.path) AS recordings, sum(f.count) AS times
FROM findings f JOIN recordings r ON r.path = f.path WHERE f.correctness AND r.verdict = 'findings'
GROUP BY f.rule, f.severity, f.place ORDER BY recordings DESC, f.rule, f.place NULLS FIRST;

-- shares: of the recordings of a kernel, how many have findings?
SELECT release, build_id, count(*) AS recordings, sum(CASE WHEN verdict = 'findings' THEN 1 ELSE 0 END) AS bad,
       100.0 * sum(CASE WHEN verdict = 'findings' THEN 1 ELSE 0 END) / count(*) AS per_cent
FROM recordings GROUP BY release, build_id ORDER BY min(modified) NULLS LAST, build_id NULLS FIRST;

-- not_judged: recordings that could not be judged, and why.
SELECT verdict, reason, count(*) AS recordings, min(path) AS example FROM recordings
WHERE verdict IN ('incomplete', 'cannot judge', 'unusable') GROUP BY verdict, reason ORDER BY recordings DESC, reason NULLS FIRST;

-- judged_least: kernels of which the fewest rules are judged.
SELECT release, build_id, avg(judged) AS judged, max(breakable) AS rules FROM recordings WHERE judged IS NOT NULL
GROUP BY release, build_id ORDER BY judged NULLS FIRST, release NULLS FIRST, build_id NULLS FIRST;

-- redundant_share: accesses to key registers that were for nothing, of those of counted passes.
SELECT release, build_id, sum(redundant) AS redundant, sum(accesses) AS accesses,
       CASE WHEN sum(accesses) > 0 THEN 1.0 * sum(redundant) / sum(accesses) END AS share
FROM recordings WHERE verdict IN ('clean', 'findings') GROUP BY release, build_id ORDER BY share DESC NULLS LAST, release NULLS FIRST, build_id NULLS FIRST;

-- traps_per_second: the vCPUs that trap most, by kernel, in traps per second of guest time.
SELECT r.release, v.path, v.vm, v.vcpu,
       1e9 * (v.pac_traps + v.register_traps + v.hidden_traps) / v.guestTime AS traps_per_second
FROM vcpus v JOIN recordings r ON r.path = v.path
WHERE v.guestTime > 0 AND v.feature = 'both' ORDER BY traps_per_second DESC, v.path, v.vcpu LIMIT 20;

-- slowest_rates: by kernel, the median and the worst vCPU's share of runs that switched keys, where that is seen.
SELECT r.release, r.build_id, count(*) AS vcpus, percentile_cont(0.5) WITHIN GROUP (ORDER BY 1.0 * v.keySwitches / v.runs) AS median,
       max(1.0 * v.keySwitches / v.runs) AS most
FROM vcpus v JOIN recordings r ON r.path = v.path WHERE v.runs > 0 AND v.keySwitches IS NOT NULL
GROUP BY r.release, r.build_id ORDER BY median DESC, r.release NULLS FIRST, r.build_id NULLS FIRST;

-- costs: what each cost rule cost, in register accesses and trips.
SELECT f.rule, count(DISTINCT f.path) AS recordings, sum(f.count) AS times, sum(f.reads + f.writes) AS accesses,
       sum(f.trips) AS trips
FROM findings f WHERE NOT f.correctness GROUP BY f.rule ORDER BY accesses DESC, f.rule;

-- boards: recordings, findings and machine time by board.
SELECT r.board, count(*) AS recordings, sum(CASE WHEN r.verdict = 'findings' THEN 1 ELSE 0 END) AS bad,
       sum(r.bytes) AS bytes, sum(r.seconds) AS analysis_seconds
FROM recordings r GROUP BY r.board ORDER BY r.board NULLS FIRST;

-- dearest: recordings that took longest to judge, and how many megabytes a second that was.
SELECT path, verdict, bytes, seconds, bytes / 1e6 / seconds AS mb_per_second FROM recordings
WHERE seconds > 0 ORDER BY seconds DESC, path LIMIT 10;
