"""What ComfyUI looks for in a folder of custom_nodes."""

from .nodes import ZeroAIRRestore

NODE_CLASS_MAPPINGS = {"ZeroAIRRestore": ZeroAIRRestore}
NODE_DISPLAY_NAME_MAPPINGS = {"ZeroAIRRestore": "Restore photo (zeroair-pl)"}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
