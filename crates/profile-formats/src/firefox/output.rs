//! The objects of the file; its tables are columns of equal length.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The whole file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub(super) meta: Meta,
    pub(super) libs: Vec<Library>,
    pub(super) threads: Vec<Thread>,
    pub(super) pages: [u8; 0],
    pub(super) profiler_overhead: [u8; 0],
    pub(super) counters: [u8; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) categories: Vec<Category>,
    pub(super) debug: bool,
    pub(super) extensions: Extensions,
    /// Interval between samples, in milliseconds.
    pub(super) interval: f64,
    pub(super) preprocessed_profile_version: u32,
    pub(super) process_type: u32,
    pub(super) product: &'static str,
    pub(super) sample_units: BTreeMap<&'static str, &'static str>,
    /// Start of the profile, in milliseconds since 1970.
    pub(super) start_time: f64,
    pub(super) symbolicated: bool,
    pub(super) paused_ranges: [u8; 0],
    pub(super) version: u32,
    pub(super) uses_only_one_stack_type: bool,
    pub(super) source_code_is_not_on_searchfox: bool,
    pub(super) marker_schema: Value,
}

#[derive(Serialize)]
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) color: &'static str,
    pub(super) subcategories: [&'static str; 1],
}

#[derive(Serialize)]
pub(super) struct Extensions {
    #[serde(rename = "baseURL")]
    pub(super) base_url: [u8; 0],
    pub(super) id: [u8; 0],
    pub(super) length: u8,
    pub(super) name: [u8; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Library {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) debug_name: String,
    pub(super) debug_path: String,
    pub(super) breakpad_id: String,
    pub(super) code_id: Option<String>,
    pub(super) arch: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thread {
    pub(super) frame_table: FrameTable,
    pub(super) func_table: FuncTable,
    pub(super) markers: MarkerTable,
    pub(super) name: String,
    pub(super) is_main_thread: bool,
    pub(super) native_symbols: NativeSymbols,
    pub(super) paused_ranges: [u8; 0],
    pub(super) pid: String,
    pub(super) process_name: String,
    pub(super) process_shutdown_time: Option<f64>,
    pub(super) process_startup_time: f64,
    pub(super) process_type: &'static str,
    pub(super) register_time: f64,
    pub(super) resource_table: ResourceTable,
    pub(super) samples: SampleTable,
    pub(super) stack_table: StackTable,
    pub(super) string_array: Vec<String>,
    pub(super) tid: String,
    pub(super) unregister_time: Option<f64>,
    pub(super) show_markers_in_timeline: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameTable {
    pub(super) length: usize,
    pub(super) address: Vec<i64>,
    pub(super) inline_depth: Vec<u32>,
    pub(super) category: Vec<usize>,
    pub(super) subcategory: Vec<usize>,
    pub(super) func: Vec<usize>,
    pub(super) native_symbol: Vec<Option<usize>>,
    #[serde(rename = "innerWindowID")]
    pub(super) inner_window_id: Vec<u32>,
    pub(super) line: Vec<Option<u32>>,
    pub(super) column: Vec<Option<u32>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FuncTable {
    pub(super) length: usize,
    pub(super) name: Vec<usize>,
    #[serde(rename = "isJS")]
    pub(super) is_js: Vec<bool>,
    #[serde(rename = "relevantForJS")]
    pub(super) relevant_for_js: Vec<bool>,
    pub(super) resource: Vec<i64>,
    pub(super) file_name: Vec<Option<usize>>,
    pub(super) line_number: Vec<Option<u32>>,
    pub(super) column_number: Vec<Option<u32>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkerTable {
    pub(super) length: usize,
    pub(super) category: Vec<usize>,
    pub(super) data: Vec<Value>,
    pub(super) end_time: Vec<Option<f64>>,
    pub(super) name: Vec<usize>,
    pub(super) phase: Vec<u8>,
    pub(super) start_time: Vec<Option<f64>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NativeSymbols {
    pub(super) length: usize,
    pub(super) address: [u8; 0],
    pub(super) function_size: [u8; 0],
    pub(super) lib_index: [u8; 0],
    pub(super) name: [u8; 0],
}

#[derive(Default, Serialize)]
pub(super) struct ResourceTable {
    pub(super) length: usize,
    pub(super) lib: Vec<usize>,
    pub(super) name: Vec<usize>,
    pub(super) host: Vec<Option<usize>>,
    pub(super) r#type: Vec<u8>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SampleTable {
    pub(super) length: usize,
    pub(super) weight_type: &'static str,
    pub(super) stack: Vec<Option<usize>>,
    pub(super) time_deltas: Vec<f64>,
    pub(super) weight: Vec<f64>,
    #[serde(rename = "threadCPUDelta")]
    pub(super) thread_cpu_delta: Vec<Option<i64>>,
}

#[derive(Default, Serialize)]
pub(super) struct StackTable {
    pub(super) length: usize,
    pub(super) prefix: Vec<Option<usize>>,
    pub(super) frame: Vec<usize>,
}
