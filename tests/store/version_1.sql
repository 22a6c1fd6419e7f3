BEGIN TRANSACTION;
CREATE TABLE cancel_requests (
	trial_id VARCHAR(16) NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (id)
);
CREATE TABLE failures (
	trial_id VARCHAR(16) NOT NULL, 
	traceback TEXT NOT NULL, 
	log TEXT NOT NULL, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "failures" VALUES('b2608258ef0543e2','Traceback','log');
CREATE TABLE items (
	trial_id VARCHAR(16) NOT NULL, 
	task VARCHAR(64) NOT NULL, 
	results BLOB NOT NULL, 
	PRIMARY KEY (trial_id, task), 
	FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "items" VALUES('abe79eaaa9e4fd41','piqa',X'789C8B8E36D089D635D433D0D135D23388D53100C292A2D2549DBCD29C9CD858007B4308B5');
INSERT INTO "items" VALUES('a5ee55f07633b290','piqa',X'789C8B8E36D089D635D433D0D135D23388D53100C292A2D2549DBCD29C9CD858007B4308B5');
CREATE TABLE meta (
	name VARCHAR(32) NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('version',1);
INSERT INTO "meta" VALUES('revision',11);
INSERT INTO "meta" VALUES('position',3);
CREATE TABLE progress (
	trial_id VARCHAR(16) NOT NULL, 
	stage TEXT NOT NULL, 
	done INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	seconds_left FLOAT, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (id)
);
CREATE TABLE sweep_trials (
	sweep_id INTEGER NOT NULL, 
	trial_id VARCHAR(16) NOT NULL, 
	place INTEGER NOT NULL, 
	PRIMARY KEY (sweep_id, trial_id), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id), 
	FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "sweep_trials" VALUES(1,'abe79eaaa9e4fd41',0);
INSERT INTO "sweep_trials" VALUES(1,'a5ee55f07633b290',1);
INSERT INTO "sweep_trials" VALUES(1,'b2608258ef0543e2',2);
CREATE TABLE sweeps (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "sweeps" VALUES(1,'first',1700000000.0);
CREATE TABLE trials (
	id VARCHAR(16) NOT NULL, 
	number INTEGER NOT NULL, 
	changed INTEGER NOT NULL, 
	comparison_id VARCHAR(16) NOT NULL, 
	model TEXT NOT NULL, 
	recipe TEXT NOT NULL, 
	protocol TEXT NOT NULL, 
	content TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	position INTEGER NOT NULL, 
	asked TEXT NOT NULL, 
	measured TEXT NOT NULL, 
	owner VARCHAR(32), 
	attempts INTEGER NOT NULL, 
	metrics TEXT NOT NULL, 
	reasons TEXT NOT NULL, 
	notes TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "trials" VALUES('abe79eaaa9e4fd41',0,5,'79c92f98bfb40c0f','tiny','dense','{"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}','{"model": "tiny", "revision": null, "weights_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "data_dir": null, "recipe": "dense", "protocol": {"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}, "data_sha256": [["piqa", "1111111111111111111111111111111111111111111111111111111111111111"], ["text", "2222222222222222222222222222222222222222222222222222222222222222"]]}','done',0,'size,perplexity,accuracy','size,perplexity,accuracy','3b1086948dec409f89c7d73369a715e1',0,'{"weight_bytes": 8.0, "perplexity": 20.5}','{}','[]','{}',0,'',1700000000.0,1700000002.0,1700000003.0);
INSERT INTO "trials" VALUES('a5ee55f07633b290',1,9,'79c92f98bfb40c0f','tiny','quantize:rtn,bits=8,group_size=64','{"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}','{"model": "tiny", "revision": null, "weights_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "data_dir": null, "recipe": "quantize:rtn,bits=8,group_size=64", "protocol": {"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}, "data_sha256": [["piqa", "1111111111111111111111111111111111111111111111111111111111111111"], ["text", "2222222222222222222222222222222222222222222222222222222222222222"]]}','done',1,'size,perplexity,accuracy','size,perplexity,accuracy','3b1086948dec409f89c7d73369a715e1',0,'{"weight_bytes": 8.0, "perplexity": 20.5}','{}','[]','{}',0,'',1700000000.0,1700000004.0,1700000005.0);
INSERT INTO "trials" VALUES('b2608258ef0543e2',2,11,'79c92f98bfb40c0f','tiny','quantize:rtn,bits=4,group_size=64','{"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}','{"model": "tiny", "revision": null, "weights_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "data_dir": null, "recipe": "quantize:rtn,bits=4,group_size=64", "protocol": {"tasks": ["piqa"], "limit": 200, "dtype": "float32", "device": "cpu", "threads": 0, "calibration_windows": 32, "sequence_length": 512, "perplexity_windows": 32, "perplexity_text": "heldout", "prompt_tokens": 128, "decode_tokens": 64, "batch_size": 1, "seed": 0}, "data_sha256": [["piqa", "1111111111111111111111111111111111111111111111111111111111111111"], ["text", "2222222222222222222222222222222222222222222222222222222222222222"]]}','failed',2,'size,perplexity,accuracy','','3b1086948dec409f89c7d73369a715e1',1,'{}','{}','[]','{}',0,'no memory',1700000000.0,1700000006.0,1700000007.0);
CREATE TABLE workers (
	id VARCHAR(32) NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	seen_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX trials_by_change ON trials (changed);
CREATE INDEX trials_by_state ON trials (state, position);
COMMIT;
